# SPDX-License-Identifier: Apache-2.0
"""How each kind of router attaches the SIP helper, and how it is turned off: text in, text out."""
