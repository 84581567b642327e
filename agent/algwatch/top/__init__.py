# SPDX-License-Identifier: Apache-2.0
"""`algwatch top`: lines and calls in a terminal, of capture files or of a live agent. Never loaded
by the daemon."""
