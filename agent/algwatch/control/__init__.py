# SPDX-License-Identifier: Apache-2.0
"""Orders of the operator, and what the fleet knows: who may say it, and what is done."""
