# SPDX-License-Identifier: Apache-2.0
"""The active self-test: SIP messages of its own cross this router, and both copies are compared."""
