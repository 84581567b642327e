# SPDX-License-Identifier: Apache-2.0
"""Endpoints that nobody here has written: kamailio, sipp and baresip, as Debian ships them."""
