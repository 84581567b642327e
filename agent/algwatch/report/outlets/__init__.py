# SPDX-License-Identifier: Apache-2.0
"""Outlets of a live agent beside its lines and MQTT: syslog, Prometheus, Homer. Loaded only if
configured."""
