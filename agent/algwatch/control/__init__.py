# SPDX-License-Identifier: Apache-2.0
"""Orders of the operator and facts from the fleet: their proof of origin and their effect."""
