#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Stands in for ubus, jsonfilter, logger, chown and the agent, by the name that it is called by.
case "${0##*/}" in
ubus)
    # ubus call network.interface.NAME status; without the folder, ubus is not running.
    [ "$1 $3" = "call status" ] && [ -d "$ROOT/ubus" ] && cat "$ROOT/ubus/$2" 2>/dev/null || exit 4
    ;;
jsonfilter)
    # jsonfilter -s TEXT -e @.NAME, where the text is one flat object.
    [ "$1 $3" = "-s -e" ] || exit 126
    printf '%s\n' "$2" | sed -n "s/.*\"${4#@.}\": \"\{0,1\}\([^\",}]*\).*/\1/p" | grep .
    ;;
logger)
    # logger -t TAG -p PRIORITY [TEXT]
    [ "$1 $3" = "-t -p" ] || exit 126
    if [ $# = 5 ]; then text=$5; else text=$(cat); fi
    [ -z "$text" ] || printf '%s %s\n' "$4" "$text" >>"$ROOT/log"
    ;;
chown | algwatch)
    printf '%s\n' "${0##*/} $*" >>"$ROOT/ran"
    ;;
*)
    exit 127
    ;;
esac
