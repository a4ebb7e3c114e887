#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# What a network does to a call: two phones that both answer, messages that get lost or come late, a
# call that is sent elsewhere, callers who give up. Prints TAP.
# Usage: odd_networks.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5")
rig_begin "$1" "$2" "$3"
start_kms ''
mulaw "$speech" alice.wav
says() { [ "$(grep -c "$1" "$dir/stdout")" -eq "$2" ]; }

# --- three phones, two of which answer --------------------------------------------------------------

wait_for_calls bob.desk --answer 100 --once --record desk.wav
wait_for_calls bob.mobile --answer 1500 --once --record mobile.wav
wait_for_calls bob.car
middle fork "$(at bob.desk udp)" "$(at bob.mobile udp)" "$(at bob.car udp)"
call alice sip:bob@example.com --proxy "$middle" --play alice.wav --hang-up played
ended bob.desk
ended bob.mobile
kill "${pid_of[bob.car]}"
ended bob.car
check 'a call goes on when a second phone answers' exits 0
check 'which is told to hang up' says '^second-answer:' 1
check 'it does' said_by bob.mobile '^ended: by the other party$'
check 'every phone has keys of its own, the one that only rings too' says '^peer: sip:bob@example.com$' 3
check 'not a packet is lost or refused' prints '^media: .* 0 lost, 0 refused$'
check 'speech arrives bit by bit at the first' same_speech alice.wav desk.wav
check 'and the second has heard nothing of it' heard_nothing bob.mobile

# --- messages that are lost, and come late ------------------------------------------------------------

for seed in 1 2 3; do
    wait_for_calls bob.desk --answer 300 --once --record "bad.$seed.wav"
    middle fork --bad $seed "$(at bob.desk udp)"
    call alice sip:bob@example.com --proxy "$middle" --play alice.wav --hang-up played
    ended bob.desk
    check "a call gets through where a fifth of the signalling is lost ($seed)" exits 0
    check "speech arrives bit by bit ($seed)" same_speech alice.wav "bad.$seed.wav"
    cat middle.error >> bad.error
done
wait_for_calls bob.desk --answer 100 --once --record bad.desk.wav
wait_for_calls bob.mobile --answer 2500 --once
middle fork --bad 4 "$(at bob.desk udp)" "$(at bob.mobile udp)"
call alice sip:bob@example.com --proxy "$middle" --play alice.wav --hang-up played
ended bob.desk
ended bob.mobile
cat middle.error >> bad.error
happened() { [ "$(grep -c "^$1 " bad.error)" -ge "$2" ]; }
check 'messages were lost on the way' happened lost 2
check 'such a network may fork, too' exits 0
check 'to phones with keys of their own' says '^peer: sip:bob@example.com$' 2
check 'speech arrives bit by bit at the first, also when the second answers' same_speech alice.wav bad.desk.wav
check 'and the second has heard nothing of it' heard_nothing bob.mobile

wait_for_calls bob.desk --answer 0 --once --record reverse.wav
middle fork --reverse "$(at bob.desk udp)"
call alice sip:bob@example.com --proxy "$middle" --play alice.wav --hang-up played
ended bob.desk
cat middle.error > bad.error
check 'a call gets through where what comes close together arrives the other way round' exits 0
check 'as it did' happened overtaken 1
check 'with the keys of who has answered' says '^vouched-for: by sip:kms@example.com$' 1
check 'and speech, bit by bit' same_speech alice.wav reverse.wav

# --- sent elsewhere -----------------------------------------------------------------------------------

wait_for_calls bob --answer 100 --once --record moved.wav
middle redirect "sip:bob@$(at bob tcp);transport=tcp"
call alice sip:bob@example.com --proxy "$middle" --play alice.wav --hang-up played
ended bob
check 'a call is followed to where it is sent' prints '^redirected: sip:bob@127.0.0.1'
check 'who answers there is vouched for' prints '^vouched-for: by sip:kms@example.com$'
check 'speech arrives bit by bit there' same_speech alice.wav moved.wav

wait_for_calls carol --answer 100 --once
middle redirect "sip:carol@$(at carol tcp);transport=tcp"
call alice sip:bob@example.com --proxy "$middle"
ended carol
check 'a call that is sent to somebody else does not stand' exits 5
check 'as the KMS does not open the ticket there' said_by carol '^ended: the KMS refused'

# --- callers who give up ------------------------------------------------------------------------------

wait_for_calls bob --once
"$phone" --credentials alice.cred --kms "$http" --listen 127.0.0.1:0 --proxy "sip:$(at bob tcp);transport=tcp" \
    sip:bob@example.com < <(sleep 1.5; echo h; sleep 2) > "$dir/stdout" 2> "$dir/stderr"
code=$?
ended bob
check 'a caller who gives up is heard of' said_by bob '^ended: given up by the caller$'
check 'and ends' prints '^ended: 487 '

wait_for_calls bob --once
call alice sip:bob@example.com --proxy "sip:$(at bob tcp);transport=tcp" --hang-up 0 &
sleep 1
kill -INT "${pid_of[bob]}"
wait $!
ended bob
check 'a callee who goes away while it rings has said so' said_by bob '^ended: by us$'

phones_end
