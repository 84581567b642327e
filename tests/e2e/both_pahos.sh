#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The MQTT tests with both ends of what routers carry: the oldest paho and msgpack, and the newest.
# usage: both_pahos.sh [FOLDER for the two virtual environments]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venvs=${1:-"$here/../../build/pahos"}
for set in "paho-mqtt==1.6.1 msgpack==1.0.5" "paho-mqtt>=2.1 msgpack>=1.1"; do
    venv=$venvs/$(echo "$set" | tr -c 'a-z0-9.\n' '_')
    [ -x "$venv/bin/pytest" ] || {
        python3 -m venv "$venv"
        # shellcheck disable=SC2086
        "$venv/bin/pip" -q install pytest cffi pcapy-ng $set
    }
    "$venv/bin/python" -c 'import importlib.metadata as m; print("paho-mqtt", m.version("paho-mqtt"))'
    PYTHONPATH=$here/../../agent "$venv/bin/python" -m pytest -q -p no:cacheprovider \
        "$here/test_mqtt.py" "$here/test_broker_says.py" "$here/test_kills.py" \
        "$here/test_hostile_broker.py" "$here/test_operator.py" "$here/test_names.py"
done
