# SPDX-License-Identifier: Apache-2.0
"""Worlds on paper: phones, a router and a provider, drawn at random with habits of their own, play
calls with the router's ALG, and the same calls without it. How each call ended in both worlds is
the truth for what is said of the captures.
"""
