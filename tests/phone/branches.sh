#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# Calls that Kamailio forks over TCP to three phones: what the losers have is worth nothing, early media
# is heard under the keys of its phone, and whoever answers late is sent away. Prints TAP.
# Usage: branches.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH MIKEY_DEMO_MEDIA
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5") media=$(realpath "$6")
rig_begin "$1" "$2" "$3"
start_kms ''
start_proxy
mulaw "$speech" alice.wav
mulaw --backwards "$speech" bob.wav
never_in() { [ -s "$2" ] && ! part_of_speech "$@"; }
says() { [ "$(grep -c "$1" "$dir/stdout")" -eq "$2" ]; }
proxy=$(through tcp)

# --- three branches ---------------------------------------------------------------------------------

wait_for_calls bob.desk --register --proxy "$proxy" --once --answer 1500 --record desk.wav
wait_for_calls bob.mobile --register --proxy "$proxy" --once
by_hand bob.tablet --register "$proxy_port"
for device in desk mobile tablet; do registered bob.$device; done
capture_begin three
call alice sip:bob@example.com --proxy "$proxy" --play alice.wav --hang-up played
capture_end
ended bob.desk
ended bob.mobile
put_away bob.tablet
check 'a call that forks to three phones over TCP works' exits 0
check 'all three have answered with keys of their own' says '^peer: sip:bob@example.com$' 3
check 'and were vouched for' says '^vouched-for: by sip:kms@example.com$' 3
check 'one is talked to' says '^answered:' 1
check 'without a packet lost or refused' prints '^media: .* 0 lost, 0 refused$'
check 'speech arrives bit by bit' same_speech alice.wav desk.wav
check 'the second is told that the call has gone' said_by bob.mobile '^ended: given up by the caller$'
check 'and so is the third' said_by bob.tablet '^got: CANCEL$'
check_capture 'the network sees three answers, no two the same' sees_messages three TRANSFER_RESP 3
check_capture 'and no media in the clear' sees_only_srtp three alice.wav
check_capture 'the keys that the third had in this very call open not one packet of it' \
    opens_nothing three bob.tablet.session

# That tools which open nothing could open something:
by_hand bob.tablet --register "$proxy_port" --answer 500
registered bob.tablet
capture_begin tablet
call alice sip:bob@example.com --proxy "$proxy" --play alice.wav --hang-up 3500
capture_end
put_away bob.tablet
check 'a phone that wins' exits 0
check_capture 'has keys that open every packet' opens_all tablet bob.tablet.session

# --- early media --------------------------------------------------------------------------------------

wait_for_calls bob.desk --register --proxy "$proxy" --once --early bob.wav --answer 4000
wait_for_calls bob.mobile --register --proxy "$proxy" --once --early alice.wav
registered bob.desk
registered bob.mobile
capture_begin early
call alice sip:bob@example.com --proxy "$proxy" --record early.wav --hang-up 500
capture_end
ended bob.desk
ended bob.mobile
check 'a call with early media from two phones works' exits 0
check 'both are heard, each under its own keys' says '^early-media: ' 2
check 'what the phone that answers had said is kept' prints '^early-media: .* of the one that has answered$'
check_capture 'early media is not in the clear either' sees_only_srtp early alice.wav bob.wav
check 'it is the right one' part_of_speech bob.wav early.wav
check 'and not the other' never_in alice.wav early.wav

# --- giving up ----------------------------------------------------------------------------------------

wait_for_calls bob.desk --register --proxy "$proxy" --once
wait_for_calls bob.mobile --register --proxy "$proxy" --once
registered bob.desk
registered bob.mobile
timeout 40 "$phone" --credentials alice.cred --kms "$http" --listen 127.0.0.1:0 --proxy "$proxy" \
    sip:bob@example.com < <(sleep 1.5; echo h; sleep 2) > "$dir/stdout" 2> "$dir/stderr"
code=$?
ended bob.desk
ended bob.mobile
check 'a caller who gives up while two phones ring ends' prints '^ended: 487 '
check 'the first is told' said_by bob.desk '^ended: given up by the caller$'
check 'and the second' said_by bob.mobile '^ended: given up by the caller$'

# --- answers that come too late -------------------------------------------------------------------------

wait_for_calls bob.desk --register --proxy "$proxy" --once --answer 300 --record desk.late.wav
by_hand bob.tablet --register "$proxy_port" --deaf --answer 1500
registered bob.desk
registered bob.tablet
call alice sip:bob@example.com --proxy "$proxy" --play alice.wav --hang-up played
ended bob.desk
put_away bob.tablet
check 'a call goes on when another phone answers that was cancelled too late' exits 0
check 'which is told to hang up' says '^second-answer:' 1
check 'its answer is acknowledged' said_by bob.tablet '^got: ACK$'
check 'and ended' said_by bob.tablet '^got: BYE$'
check 'speech arrives bit by bit at the first' same_speech alice.wav desk.late.wav

wait_for_calls bob.desk --register --proxy "$proxy" --once --answer 300
by_hand bob.tablet --register "$proxy_port" --deaf --answer 2500
registered bob.desk
registered bob.tablet
call alice sip:bob@example.com --proxy "$proxy" --hang-up 1000
ended bob.desk
put_away bob.tablet
check 'so it is when the call is over by then' exits 0
check 'the answer after the end is acknowledged' said_by bob.tablet '^got: ACK$'
check 'and ended' said_by bob.tablet '^got: BYE$'
check 'and the call was that with the first' says '^answered:' 1

by_hand bob.tablet --deaf --answer 2000
timeout 40 "$phone" --credentials alice.cred --kms "$http" --listen 127.0.0.1:0 --proxy "sip:$(at bob.tablet tcp);transport=tcp" \
    sip:bob@example.com < <(sleep 1; echo h; sleep 3) > "$dir/stdout" 2> "$dir/stderr"
code=$?
put_away bob.tablet
check 'an answer that crosses the end of the ringing stands for no call' prints '^ended: by us$'
check 'it is acknowledged' said_by bob.tablet '^got: ACK$'
check 'and ended' said_by bob.tablet '^got: BYE$'
check 'nobody was talked to' says '^answered:' 0

# --- sent elsewhere -------------------------------------------------------------------------------------

start_proxy -A MOVED
wait_for_calls bob --register --proxy "$(through tcp)" --once --answer 100 --record moved.wav
registered bob
call alice sip:bob@example.com --proxy "$(through tcp)" --play alice.wav --hang-up played
ended bob
check 'a call that is sent elsewhere is made there' prints '^redirected: sip:bob@127.0.0.1'
check 'who answers there is vouched for' prints '^vouched-for: by sip:kms@example.com$'
check 'speech arrives bit by bit there' same_speech alice.wav moved.wav
by_hand bob.tablet --register "$proxy_port" --answer 100
registered bob.tablet
call alice sip:bob@example.com --proxy "$(through tcp)" --hang-up 200
put_away bob.tablet
check 'it finds its way through the proxy of the caller' said_by bob.tablet '^got: INVITE by way of 1 proxy$'

phones_end
