#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# The five commands of the user's guide, word for word but for the ports. Prints TAP.
# Usage: guide.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH GUIDE
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5") guide=$(realpath "$6")
rig_begin "$1" "$2" "$3"
PATH=$(dirname "$kmsd"):$(dirname "$phone"):$PATH
cp "$speech" speech.wav

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
awk '/^## / { on = $0 == "## Five commands" } /^```$/ { code = 0 } on && code { print } /^```sh$/ { code = 1 }' \
    "$guide" > commands
for port in 8269 5070 5071; do
    sed -i "s/$port/$(free_port)/g" commands
done
mapfile -t command < commands

# waits COMMAND LINE: runs it in a terminal of its own until it has said a line.
waits() {
    local i
    bash -c "exec $1" > terminal.said 2> terminal.error < /dev/null &
    pids+=($!)
    for ((i = 0; i < 1000; i++)); do
        grep -q "$2" terminal.said && return
        sleep 0.01
    done
    return 1
}

code=0
check 'the guide has five commands' [ "${#command[@]}" -eq 5 ]
check 'the first writes a configuration' bash -c "${command[0]}"
check 'the second makes two users' eval "${command[1]} > '$dir/stdout' 2> '$dir/stderr'"
check 'the third starts the KMS' waits "${command[2]}" '^ready'
check 'the fourth is a phone that waits' waits "${command[3]}" '^listening: tcp'
bash -c "${command[4]}" > "$dir/stdout" 2> "$dir/stderr" < /dev/null
code=$?
check 'the fifth calls it' exits 0
check 'and is told who answers' prints '^peer: sip:bob@example.com$'
wait "${pids[1]}"
mulaw speech.wav said.wav
check 'Bob has heard what Alice said' same_speech said.wav heard.wav

rig_end
