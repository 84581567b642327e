# SPDX-License-Identifier: Apache-2.0
"""Attacks on the running agent, each beside a real call through the kernel's ALG (lab/)."""
