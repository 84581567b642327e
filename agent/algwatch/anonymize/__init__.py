# SPDX-License-Identifier: Apache-2.0
"""A capture without people: every name, number, host and address becomes another one of the same
form and length, always the same one, so the copy shows the same as the original."""
