# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034,SC2154,SC2317 # for the scenarios that read this file
# What scenarios of group calls share, on top of phones.sh: phones whose keys somebody presses.

code=0
: > "$dir/stdout"
: > "$dir/stderr"
team=sip:team.$$@example.com # another with each run: a capture may have theirs too
declare -A keys_of_phone pid_of

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# kms_says WORDS...: mikey-kmsctl, in a scenario that needs it to work.
kms_says() { "$kmsctl" --config kms.yaml "$@" > made 2>&1 || bail "mikey-kmsctl $*" made; }

# knows_member NAME CODE: waits until the KMS has heard of a change: until NAME can (0) or cannot (3) resolve a
# ticket for the group.
knows_member() {
    local i
    if [ ! -e probe.offer ]; then
        run request --credentials alice.cred --kms "$http" --to "$team" --no-forking --key GTGK --out probe.mkt
        run offer --credentials alice.cred --ticket probe.mkt --to "$team" --out probe.offer --state probe.state
    fi
    for ((i = 0; i < 200; i++)); do
        run answer --credentials "$1.cred" --kms "$http" --offer probe.offer --out probe.answer --session probe.session
        [ "$code" -eq "$2" ] && return
        sleep 0.05
    done
    bail "the KMS does not learn about $1" "$dir/stderr"
}

# press NAME KEY
press() { printf '%s' "$2" >&"${keys_of_phone[$1]}"; }

# open_phone NAME OPTIONS...: a phone on a port of its own, with keys. NAME may be USER.DEVICE.
open_phone() {
    local name=$1 fd
    shift
    : > "$name.said"
    mkfifo "$name.keys"
    case " $* " in *' --listen '*) ;; *) set -- --listen 127.0.0.1:0 "$@" ;; esac
    "$phone" --credentials "${name%%.*}.cred" --kms "$udp" "$@" \
        > "$name.said" 2> "$name.error" < "$name.keys" &
    pids+=($!)
    pid_of[$name]=$!
    exec {fd}> "$name.keys"
    rm "$name.keys"
    keys_of_phone[$name]=$fd
    says_soon "$name" '^listening: tcp' || bail "the phone of $name does not listen" "$name.error"
}

# says_soon NAME PATTERN [TIMES]: within twenty seconds.
says_soon() {
    local i
    for ((i = 0; i < 2000; i++)); do
        [ "$(grep -c "$2" "$1.said")" -ge "${3:-1}" ] && return
        sleep 0.01
    done
    return 1
}
# close_phone NAME: its keys are gone; then as `ended`.
close_phone() {
    local fd=${keys_of_phone[$1]}
    ended "$1"
    exec {fd}>&-
}
# No keystream comes twice (RFC 3711 9.1).
no_keystream_twice() { python3 "$tools/keystream.py" "$1.pcapng" > "$dir/stdout" 2> "$dir/stderr"; }
uri_of() { echo "sip:${1%%.*}@$(at "$1" tcp);transport=tcp"; }
