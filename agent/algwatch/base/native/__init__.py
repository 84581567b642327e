# SPDX-License-Identifier: Apache-2.0
"""The boundary to the C extension: only these five files import algwatch._native.

layout: structs, offsets, constants. scan: one message or frame at a time. rows: packets to batches
of rows. ring: the live capture ring. privileges: the rights kept once it is open. Lengths are
checked here, before C sees them; codes become values or exceptions here.
"""
