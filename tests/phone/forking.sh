#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# Calls that Kamailio forks to several phones of Bob. Prints TAP.
# Usage: forking.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH MIKEY_DEMO_MEDIA
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5") media=$(realpath "$6")
rig_begin "$1" "$2" "$3"
start_kms ''
start_proxy
mulaw "$speech" alice.wav

said_once() { [ "$(grep -c "$2" "$1.said")" -eq 1 ]; }
says() { [ "$(grep -c "$1" "$dir/stdout")" -eq "$2" ]; }

for transport in tcp udp; do
    for device in desk mobile; do
        wait_for_calls bob.$device --register --proxy "$(through $transport)" --once \
            --record "$device.$transport.wav" \
            "$([ $device = desk ] && echo --answer=1000 || echo --answer=60000)"
        registered bob.$device
    done
    capture_begin "fork.$transport"
    call alice sip:bob@example.com --proxy "$(through $transport)" --play alice.wav --hang-up played
    capture_end
    ended bob.desk
    ended bob.mobile
    check "a call that forks over $transport works" exits 0
    check 'both phones have answered with keys of their own' says '^peer: sip:bob@example.com$' 2
    check 'both were vouched for' says '^vouched-for: by sip:kms@example.com$' 2
    check 'one is talked to' says '^answered:' 1
    check 'without a packet lost or refused' prints '^media: .* 0 lost, 0 refused$'
    check 'the one that answers knows who calls' said_by bob.desk '^peer: sip:alice@example.com$'
    check 'and so does the other' said_by bob.mobile '^peer: sip:alice@example.com$'
    check 'which is told that the call has gone' said_by bob.mobile '^ended: given up by the caller$'
    check 'and has heard nothing' absent "mobile.$transport.wav"
    check 'speech arrives bit by bit' same_speech alice.wav "desk.$transport.wav"
    check_capture 'the network sees the media, and none of it in the clear' \
        sees_only_srtp "fork.$transport" alice.wav
    check_capture 'and two answers that are not the same' sees_messages "fork.$transport" TRANSFER_RESP 2

    # Whoever of Bob's phones did not answer has resolved the same ticket: what its keys are worth.
    [ -z "$capture_pid" ] || python3 "$tools/messages.py" "fork.$transport.pcapng" --write TRANSFER_INIT \
        > "offer.$transport"
    run answer --credentials bob.cred --kms "$http" --offer "offer.$transport" --out third.answer \
        --session third.session
    check_capture 'a third phone of Bob resolves the ticket of that call too' exits 0
    check_capture 'and its keys open not one packet of it' opens_nothing "fork.$transport" third.session
done

# --- digest -----------------------------------------------------------------------------------------

(umask 077; echo 'open sesame' > password; echo 'open simsim' > wrong)
start_proxy -A DIGEST
wait_for_calls bob --register --proxy "$(through tcp)" --sip-password-file password --once --answer 100 \
    --record digest.wav
registered bob
call alice sip:bob@example.com --proxy "$(through tcp)" --sip-password-file password --play alice.wav --hang-up played
ended bob
check 'who has the password can register and call' exits 0
check 'with keys as ever' same_speech alice.wav digest.wav
call alice sip:bob@example.com --proxy "$(through tcp)" --sip-password-file wrong
check 'who has not does not get through' prints_on 5 '^ended: 407 '
call alice sip:bob@example.com --proxy "$(through tcp)"
check 'nor does who has none' prints_on 5 '^ended: 407 '
wait_for_calls carol --register --proxy "$(through tcp)" --sip-password-file wrong
says_soon carol '^not-registered: 401'
check 'and a phone with a wrong one is told that it is not registered' said_by carol '^not-registered: 401'
kill "${pid_of[carol]}"
ended carol
chmod 644 password
call alice sip:bob@example.com --sip-password-file password
check 'a password that others can read is refused' exits_saying 1 'chmod 600 password'

phones_end
