#!/bin/sh
# SPDX-License-Identifier: Apache-2.0

[ "$1" = python3-pcapy-ng ] || exit 0

# The filter is compiled by libpcap: 1 is DLT_EN10MB.
python3 -c 'import pcapy; assert pcapy.compile(1, 65535, "udp port 5060", 1, 0).get_bpf()'
