#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# $1 is the package, $2 its version. Neither the service nor the plugin of rpcd tells a version.

case "$1" in
algwatch)
	algwatch --version | grep -qF "$2"
	;;
*)
	exit 0
	;;
esac
