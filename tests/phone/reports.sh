#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# What two phones tell each other about their media, and that nobody else hears it. Prints TAP.
# Usage: reports.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5")
rig_begin "$1" "$2" "$3"
start_kms ''
mulaw "$speech" alice.wav
mulaw --backwards "$speech" bob.wav
like() { python3 "$tools/speech.py" like "$1" "$2" > "$dir/stderr" 2>&1; }
# tells_of NAME LOW HIGH: how many of its packets the other side has missed.
tells_of() {
    local n
    n=$(sed -n 's/^reported: \([0-9]*\) lost, .*/\1/p' "$1")
    [ -n "$n" ] && [ "$n" -ge "$2" ] && [ "$n" -le "$3" ]
}

# --- nothing is lost ----------------------------------------------------------------------------------

wait_for_calls bob --answer 100 --play bob.wav --record heard.wav --once
capture_begin whole
call alice sip:bob@example.com --proxy "sip:$(at bob tcp);transport=tcp" --play alice.wav --hang-up played
capture_end
ended bob
check 'both are told what arrived of what they said' prints '^reported: 0 lost, [0-9]* ms of jitter, [0-9]* ms there'
check 'and so is who is called' said_by bob '^reported: 0 lost, '
check 'no report counts as media' prints '^media: .* 0 lost, 0 refused$'
check 'speech arrives bit by bit beside them' same_speech alice.wav heard.wav
check_capture 'the network can read no report' sees_only_srtp whole alice.wav bob.wav
sees_reports() { python3 "$tools/capture.py" "$1.pcapng" alice.wav bob.wav | grep -qE '[1-9][0-9]* reports, 0 in the clear$'; }
check_capture 'though there are some' sees_reports whole

for suite in AES_256_CM_HMAC_SHA1_32 AEAD_AES_256_GCM; do
    wait_for_calls bob --answer 100 --once
    # The first report comes after 3.1 seconds at most.
    call alice sip:bob@example.com --proxy "sip:$(at bob tcp);transport=tcp" --play alice.wav --hang-up 4500 \
        --srtp $suite
    ended bob
    check "reports go under $suite" prints '^reported: 0 lost, '
    check '  both ways' said_by bob '^reported: 0 lost, '
done

wait_for_calls bob --answer 100 --once
call alice sip:bob@example.com --proxy "sip:$(at bob tcp);transport=tcp" --play alice.wav --hang-up played --rekey 2s
ended bob
check 'reports go on under new keys' prints '^reported: 0 lost, '
check '  both ways, and none is refused' said_by bob '^media: .* 0 refused$'

# --- a tenth is lost ----------------------------------------------------------------------------------

for codec in PCMU opus; do
    wait_for_calls bob --answer 100 --record "lossy.$codec.wav" --codec $codec --once
    middle fork --lose 10 "$(at bob udp)"
    call alice sip:bob@example.com --proxy "$middle" --play "$speech" --hang-up 5700
    ended bob
    check "who loses a tenth in $codec knows" said_by bob '^media: [0-9]* sent, 2[0-9]* heard, 2[0-9] lost, 0 refused$'
    check '  and who has said it is told' tells_of "$dir/stdout" 3 29
    check '  while the other way nothing is lost' tells_of bob.said 0 0
done
check 'Opus conceals what is lost' like "$speech" lossy.opus.wav

# --- those who know no reports over one port ------------------------------------------------------------

wait_for_calls bob --answer 100 --record heard.wav --once
middle fork --without a=rtcp-mux "$(at bob udp)"
call alice sip:bob@example.com --proxy "$middle" --play alice.wav --hang-up played
ended bob
check 'without a=rtcp-mux a call works as before' same_speech alice.wav heard.wav
check 'nobody reports' never_said bob '^reported: '
check 'and nobody is sent what it would not know' said_by bob '^media: .* 0 lost, 0 refused$'

phones_end
