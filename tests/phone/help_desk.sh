#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# A help desk is a group of the KMS: whoever answers is authorised at that moment, and shown to the
# caller. Prints TAP. Usage: help_desk.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5")
rig_begin "$1" "$2" "$3"
desk=sip:helpdesk@example.com
admin() { "$kmsctl" --config kms.yaml "$@" > made 2>&1 || bail "$*" made; }
before_kms() {
    admin user add sip:erin@example.com --psk-out erin.cred
    admin group add "$desk"
    admin group member-add "$desk" sip:bob@example.com
    admin group member-add "$desk" sip:carol@example.com
}
start_kms ''
start_proxy
mulaw "$speech" alice.wav
says() { [ "$(grep -c "$1" "$dir/stdout")" -eq "$2" ]; }
proxy=$(through tcp)

# --- whoever answers is shown -------------------------------------------------------------------------

wait_for_calls bob --register --proxy "$proxy" --once
wait_for_calls carol --register --proxy "$proxy" --once --answer 1500 --record desk.wav
wait_for_calls erin --register --proxy "$proxy" --once --answer 0
for who in bob carol erin; do registered $who; done
call alice "$desk" --proxy "$proxy" --play alice.wav --hang-up played
for who in bob carol erin; do ended $who; done
check 'a call to a help desk works' exits 0
check 'one who rings is known' says '^peer: sip:bob@example.com$' 1
check 'and the other' says '^peer: sip:carol@example.com$' 1
check 'as those who may answer for it' says "^for: $desk\$" 2
check 'each vouched for' says '^vouched-for: by sip:kms@example.com$' 2
check 'who answers is shown' prints '^answered: sip:carol@example.com$'
check 'speech arrives there bit by bit' same_speech alice.wav desk.wav
check 'who answers sees what was called' said_by carol "^called: $desk\$"
check 'who is not of the group and answers first has no keys' said_by erin '^ended: the KMS refused'
check 'and is not heard of' says '^peer: sip:erin' 0

# --- without the proxy's help ---------------------------------------------------------------------------

wait_for_calls erin --once --answer 0
call alice "$desk" --proxy "sip:$(at erin tcp);transport=tcp"
ended erin
check 'who is not of the group cannot answer, wherever the call is sent' prints_on 5 '^ended: 488 '
check 'as the KMS has said' said_by erin '^ended: the KMS refused'

# --- at that moment -------------------------------------------------------------------------------------

wait_for_calls bob
message=$(good alice helpdesk) # the ticket is there
admin group member-remove "$desk" sip:bob@example.com
offer --wait "$(line "$message")" "$savp"
check 'who was a member when the ticket was made, and is none now, cannot answer' prints '^488 '
check 'as the KMS has said' said_by bob '^ended: the KMS refused'
put_away bob
wait_for_calls bob --once --answer 0
call alice "$desk" --proxy "sip:$(at bob tcp);transport=tcp" --hang-up 100
ended bob
check 'nor a call that is made now' prints_on 5 '^ended: 488 '

message=$(good alice helpdesk)
admin group member-add "$desk" sip:bob@example.com
wait_for_calls bob --answer 0 --once
offer --then "$(line "$message")" "$savp"
ended bob
check 'who becomes a member after the ticket was made can' prints '^200 '
check 'and sees what was called' said_by bob "^called: $desk\$"

phones_end
