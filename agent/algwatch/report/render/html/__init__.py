# SPDX-License-Identifier: Apache-2.0
"""The report as one page for a browser: complete in itself, and safe against any text from the
network."""
