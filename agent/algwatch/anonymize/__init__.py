# SPDX-License-Identifier: Apache-2.0
"""A capture without people: every name, number, host and address in it becomes another one of the
same form and length, the same for the same, so that it says what the original says."""
