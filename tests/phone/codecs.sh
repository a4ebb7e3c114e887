#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# Codecs: which one two phones agree on, and what arrives in each. Prints TAP.
# Usage: codecs.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5")
rig_begin "$1" "$2" "$3"
start_kms ''
mulaw "$speech" mulaw.wav
python3 "$tools/speech.py" mulaw --alaw "$speech" alaw.wav
like() { python3 "$tools/speech.py" like "$1" "$2" > "$dir/stderr" 2>&1; }

until=played
# calls SAID CALLER CALLEE: lists of codecs, empty for those of the phone itself.
calls() {
    rm -f heard.wav
    wait_for_calls bob --answer 100 --record heard.wav --once ${3:+--codec "$3"}
    capture_begin codec
    call alice sip:bob@example.com --proxy "sip:$(at bob tcp);transport=tcp" --play "$1" --hang-up "$until" \
        ${2:+--codec "$2"}
    capture_end
    ended bob
}
good() { prints '^media: .* 0 lost, 0 refused$' && said_by bob '^media: .* 0 lost, 0 refused$'; }
both_have() { prints "^codec: $1\$" && said_by bob "^codec: $1\$"; }

calls mulaw.wav '' ''
check 'G.711 mu-law is what phones speak that are not told' both_have PCMU
check 'it arrives bit by bit' same_speech mulaw.wav heard.wav

calls alaw.wav PCMA ''
check 'A-law works' both_have PCMA
check 'not a packet is lost or refused' good
check 'it arrives bit by bit' same_speech alaw.wav heard.wav
check 'what is said in mu-law can be heard as A-law' calls mulaw.wav PCMA PCMA
check '  near enough' like mulaw.wav heard.wav

calls "$speech" opus,PCMU ''
check 'Opus works' both_have opus
check 'not a packet is lost or refused' good
check 'what is heard is what was said, near enough' like "$speech" heard.wav
check_capture 'the network sees no speech' sees_only_srtp codec mulaw.wav alaw.wav

until=200
calls mulaw.wav opus,PCMU PCMU,PCMA
check 'without a first choice of both it is the next' both_have PCMU
calls "$speech" PCMA,opus opus,PCMA
check 'it is the caller who chooses the order' both_have PCMA
calls mulaw.wav PCMA opus
check 'without any in common there is no call' prints_on 5 '^ended: 488 '
check 'and the callee says why' said_by bob '^ended: the offer is refused: none of our codecs'
call alice sip:bob@example.com --codec G.729
check 'a codec that is not there is not offered' exits_saying 2 'expected names out of PCMU, PCMA, opus'

phones_end
