#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run on the target after installation: $1 is the package, $2 its version.

[ "$1" = algwatch ] || exit 0

set -e
python3 -I -c 'import algwatch._native, msgpack, paho.mqtt.client, pcapy, ssl'
algwatch explain ALG011 | grep -q mapping
sh -n /etc/init.d/algwatch
/usr/libexec/rpcd/algwatch list | grep -q status
uci -q get algwatch.main >/dev/null
grep -q '^algwatch:' /etc/passwd
