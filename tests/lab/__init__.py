# SPDX-License-Identifier: Apache-2.0
"""The lab: a phone, a router with the kernel's own SIP helper, a provider, and known truth."""
