# SPDX-License-Identifier: Apache-2.0
"""Requests to the kernel over netlink: interfaces and addresses (links), flows (flows). No program
is called: a stock router has neither a whole `ip` nor `conntrack`."""
