# SPDX-License-Identifier: Apache-2.0
"""algwatch: does this router's SIP ALG break phone calls? Proof, and the remedy."""

__version__ = "0.1.0"
