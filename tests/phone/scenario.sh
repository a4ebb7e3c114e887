#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# Calls between real phones, through a real KMS, on this machine. Prints TAP.
# Usage: scenario.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"

phone=$(realpath "$4") speech=$(realpath "$5")
rig_begin "$1" "$2" "$3"
start_kms ''
at_least() { [ "$(grep -c "$2" "$3")" -ge "$1" ]; }
mulaw "$speech" alice.wav
mulaw --backwards "$speech" bob.wav

# --- a call without a proxy -----------------------------------------------------------------------

for transport in udp tcp; do
    wait_for_calls bob --answer 200 --play bob.wav --record "heard-by-bob.$transport.wav" --once
    capture_begin "call.$transport"
    call alice "sip:bob@example.com" --proxy "sip:$(at bob $transport);transport=$transport" --play alice.wav \
        --record "heard-by-alice.$transport.wav" --hang-up played
    capture_end
    ended bob
    check "a call over $transport works" exits 0
    check 'the caller sees who answered' prints '^peer: sip:bob@example.com$'
    check 'as vouched for by the KMS' prints '^vouched-for: by sip:kms@example.com$'
    check 'and by which policy of the ticket' prints '^ticket: flags DEFGHI.*, valid until 20'
    check 'the suite' prints '^suite: AES_256_CM_HMAC_SHA1_80$'
    check 'and when it rekeys' prints '^rekey-by: never$'
    check 'no packet is lost or refused' prints '^media: [0-9]* sent, [0-9]* heard, 0 lost, 0 refused$'
    check 'the callee sees who calls' said_by bob '^peer: sip:alice@example.com$'
    check 'it rings before the keys are there' in_order bob '^ringing:' '^peer:'
    check 'and hears that it is over' said_by bob '^ended: by the other party$'
    check 'what the callee hears is what the caller said, bit by bit' \
        same_speech alice.wav "heard-by-bob.$transport.wav"
    check 'and the other way, as far as it went' begins_with bob.wav "heard-by-alice.$transport.wav"
    check_capture "the network sees the media, and none of it in the clear" \
        sees_only_srtp "call.$transport" alice.wav bob.wav
done

# --- new keys during the call ---------------------------------------------------------------------

wait_for_calls bob --answer 100 --play bob.wav --record heard-by-bob.rekey.wav --once
capture_begin call.rekey
call alice sip:bob@example.com --proxy "sip:$(at bob tcp);transport=tcp" --play alice.wav --rekey 2s \
    --record heard-by-alice.rekey.wav --hang-up played
capture_end
ended bob
check 'a call whose keys last two seconds goes on' exits 0
check 'with new keys again and again' at_least 4 '^rekeyed: by us$' "$dir/stdout"
# RFC4567:4.1.2-8
check 'which the callee has too' at_least 4 '^rekeyed: by the other party$' bob.said
check 'at both ends the time until the next is told' at_least 5 '^rekey-by: 20' bob.said
check 'not a packet is lost or refused' prints '^media: [0-9]* sent, [0-9]* heard, 0 lost, 0 refused$'
check 'at either end' said_by bob '^media: [0-9]* sent, [0-9]* heard, 0 lost, 0 refused$'
check 'what the callee hears is what the caller said, bit by bit' same_speech alice.wav heard-by-bob.rekey.wav
check 'and the other way, as far as it went' begins_with bob.wav heard-by-alice.rekey.wav
check_capture 'the network sees the media, and none of it in the clear' sees_only_srtp call.rekey alice.wav bob.wav

phones_end
