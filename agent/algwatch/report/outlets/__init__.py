# SPDX-License-Identifier: Apache-2.0
"""Where a live agent tells of itself beside its lines and MQTT: syslog, Prometheus, Homer. Loaded
only where it is set."""
