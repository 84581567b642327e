# SPDX-License-Identifier: Apache-2.0
"""apply, verify and rollback on routers that are made for it."""
