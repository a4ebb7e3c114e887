#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2004,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# Calls between mikey-phone and an end whose SIP is Sofia-SIP's, each calling the other. Prints TAP.
# Usage: sofia.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH SOFIA_PEER
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5") sofia=$(realpath "$6")
rig_begin "$1" "$2" "$3"
start_kms ''
mulaw "$speech" alice.wav
mulaw --backwards "$speech" bob.wav

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# peer NAME TRANSPORT SAY HEARD [URI AT]: the other end, in the background; sets at.
peer() {
    local name=$1 transport=$2 i
    shift 2
    at=127.0.0.1:$(free_port)
    : > "$name.said"
    timeout 60 "$sofia" "$name.cred" "$udp" "$at" "$transport" "$@" > "$name.said" 2> "$name.error" < /dev/null &
    pid_of[$name]=$!
    pids+=($!)
    for ((i = 0; i < 500; i++)); do
        grep -q '^listening' "$name.said" && return
        sleep 0.01
    done
    bail 'the other end does not listen' "$name.error"
}

for transport in udp tcp; do
    peer bob "$transport" bob.wav heard-by-sofia.wav
    call alice sip:bob@example.com --proxy "sip:$at;transport=$transport" --play alice.wav --record heard-by-phone.wav \
        --hang-up played
    ended bob
    check "over $transport a call to Sofia-SIP works" exits 0
    check 'the phone sees who answered' prints '^peer: sip:bob@example.com$'
    check 'as vouched for by the KMS' prints '^vouched-for: by sip:kms@example.com$'
    check 'no packet is lost or refused' prints '^media: [0-9]* sent, [0-9]* heard, 0 lost, 0 refused$'
    check 'the other end sees who calls' said_by bob '^peer: sip:alice@example.com$'
    check 'and refuses no packet either' said_by bob '^media: .* 0 refused$'
    check 'it hears what the phone says, bit by bit' same_speech alice.wav heard-by-sofia.wav
    check 'and the phone hears it, as far as it went' begins_with bob.wav heard-by-phone.wav

    wait_for_calls carol --answer 0 --play bob.wav --record heard-by-phone.wav --once
    peer alice "$transport" alice.wav heard-by-sofia.wav sip:carol@example.com "$(at carol "$transport")"
    ended alice
    ended carol
    check "over $transport a call from Sofia-SIP works" said_by carol '^answered: by us$'
    check 'it ends when all is said' said_by carol '^ended: by the other party$'
    check 'the phone sees who calls' said_by carol '^peer: sip:alice@example.com$'
    check 'no packet is lost or refused' said_by carol '^media: [0-9]* sent, [0-9]* heard, 0 lost, 0 refused$'
    check 'the other end sees who answered' said_by alice '^peer: sip:carol@example.com$'
    check 'the phone hears what it says, bit by bit' same_speech alice.wav heard-by-phone.wav
    check 'and it hears the phone, as far as that went' begins_with bob.wav heard-by-sofia.wav
done

wait_for_calls carol --answer 0 --once
peer alice tcp alice.wav heard-by-nobody.wav sip:bob@example.com "$(at carol tcp)"
ended alice
check 'who is not named by the ticket is refused here, too' said_by alice '^ended: Not Acceptable'
check 'and nothing is heard' [ ! -e heard-by-nobody.wav ]
ended carol
phones_end
