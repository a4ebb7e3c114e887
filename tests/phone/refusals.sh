#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# What must not work: offers without keys or with bad ones, a KMS that is gone or says no. Prints TAP.
# Usage: refusals.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4")
rig_begin "$1" "$2" "$3"
start_kms ''

wait_for_calls bob
message=$(good alice bob)
offer "$(line "$message")" "$savp"
check 'a good offer rings' prints '^rings$'
sleep 0.3
FROM=$(printf 'sip:mallory\033[2J@example.com') offer "$(line "$(good alice bob)")" "$savp"
check 'what a caller says of itself does nothing to the terminal' never_said bob "$(printf '\033')"
check 'and is shown' said_by bob '^ringing: sip:mallory?\[2J@example.com'
sleep 0.3
offer --twice "$(line "$(good alice bob)")" "$savp"
check 'the same INVITE on another branch is no attack, and no second call' prints '^482 Loop Detected$'
sleep 0.3
offer "m=audio 40000 RTP/AVP 0"
check 'a call in the clear is refused' prints '^488 Not Acceptable Here$'
# RFC4567:4.1.2-3
check 'with a reason' prints '^Warning: 399 '
offer "$savp"
check 'SRTP without keys is refused' prints '^488 '
offer "$(line "$message")" 'm=audio 40000 RTP/AVP 0'
check 'keys for plain RTP are refused' prints '^488 '
offer "$(line "${message:0:200}")" "$savp"
check 'a message that was cut is refused' prints '^488 '
offer "$(line "${message/AQ4/AQ?}")" "$savp"
check 'one that is no base64 is refused' prints '^488 '
offer 'a=key-mgmt:other AQ4A' "$savp"
check 'another protocol is refused as not understood' prints '^Warning: 306 .*key-mgmt'
offer "$(line "$(good alice bob 'mikey;other')")" "$savp"
check 'a list of protocols that was cut down is refused' prints '^488 '
run request --credentials alice.cred --kms "$udp" --to sip:bob@example.com --out t.mkt
run offer --credentials alice.cred --ticket t.mkt --to sip:bob@example.com --out no.ids --state o.state
offer "$(line "$(cat no.ids)")" "$savp"
check 'a message without such a list is refused' prints '^488 '
offer "$(line "$(good alice bob 'mikey;other')")" 'a=key-mgmt:other AQ4A' "$savp"
check 'a list that is whole is taken' prints '^rings$'
sleep 0.3
offer --wait "$(line "$(good alice carol)")" "$savp"
check 'an offer for another is refused' prints '^488 '
check 'without a word about why' prints '^Warning: 399 mikey-phone "Key management was refused"'
check 'when the KMS does not open its ticket' said_by bob '^ended: the KMS refused'
kill "${pid_of[bob]}"
ended bob

# --- later offers ---------------------------------------------------------------------------------

wait_for_calls bob --answer 0 --once
message=$(good alice bob)
sdp "$savp" > silent.sdp
sdp "$(line "$message")" "$savp" > same.sdp
sdp 'm=audio 40000 RTP/AVP 0' > clear.sdp
sdp "$(line "$(good alice bob)")" "$savp" > ticket.sdp
sdp "$(line "${message:0:200}")" "$savp" > cut.sdp
sdp "$(line "$message")" "$savp" |
    python3 "$tools/sip_offer.py" "$(at bob udp)" --then silent.sdp same.sdp clear.sdp ticket.sdp cut.sdp silent.sdp \
        > "$dir/stdout" 2> "$dir/stderr"
code=$?
ended bob
sed -n 's/ .*//; /^[0-9]/p' "$dir/stdout" | tr '\n' ' ' > answers
check 'a later offer may be silent about keys or say the same; none goes to the clear, or to another ticket' \
    grep -qx '200 200 200 488 488 488 200 ' answers
check 'the same message gets the same answer, and silence none' [ "$(grep -c '^a=key-mgmt' "$dir/stdout")" -eq 2 ]
check 'what is refused is not understood' [ "$(grep -c '^Warning: 306' "$dir/stdout")" -eq 3 ]
check 'and the call goes on until its end' said_by bob '^ended: by the other party$'

wait_for_calls bob --answer 0
message=$(good alice bob)
offer --then "$(line "$message")" "$savp"
check 'a call stands' prints '^200 '
sleep 0.3
offer "$(line "$message")" "$savp"
check 'the offer of a former call is a replay' prints '^488 '
check 'the callee is told so' said_by bob '^ended: .*that of a former call'
check 'the caller is not' prints '^Warning: 399 mikey-phone "Key management was refused"'
offer --then "$(line "$(good alice bob)")" "$savp"
check 'and another offer is taken' prints '^200 '
sleep 0.3
kill "${pid_of[bob]}"
ended bob

# --- between phones -------------------------------------------------------------------------------

wait_for_calls bob --answer 100 --once --srtp AEAD_AES_256_GCM
call alice sip:bob@example.com --proxy "sip:$(at bob udp)" --srtp AES_256_CM_HMAC_SHA1_80
check 'without a common suite there is no call' exits 5
check 'and the caller is told so' prints_on 5 '^warning: 306 '
ended bob

wait_for_calls carol --answer 100 --once
call alice sip:bob@example.com --proxy "sip:$(at carol udp)"
check 'who is not named by the ticket cannot answer in the place of another' exits 5
check 'the caller is refused' prints_on 5 '^ended: 488 '
check 'the KMS has said no' said_by carol '^ended: the KMS refused'
ended carol

udp_was=$udp udp=$closed
wait_for_calls bob --answer 100 --once --timeout 1
udp=$udp_was
call alice sip:bob@example.com --proxy "sip:$(at bob tcp);transport=tcp"
check 'a callee whose KMS is gone does not answer' exits 5
check 'and says why' prints_on 5 '^warning: 399 .*cannot be reached'
check 'as not available for the time being' prints_on 5 '^ended: 480 '
ended bob

http_was=$http http=${closed/udp/http}
wait_for_calls bob --once
call alice sip:bob@example.com --proxy "sip:$(at bob udp)"
http=$http_was
check 'a caller whose KMS is gone does not call' exits 6
check 'and is told why' prints_on 6 '^ended: cannot reach the KMS'
check 'nothing rings' never_said bob '^ringing'
kill "${pid_of[bob]}"
ended bob

call alice sip:bob@example.com --play nothing.wav
check 'a file that is not there is said to be so' exits_saying 2 'nothing.wav'
call alice sip:bob@example.com --answer soon
check 'a wrong option too' exits_saying 2 'expected milliseconds'
call alice sip:bob@example.com --repeat 0
check 'and a number of calls that is none' exits_saying 2 'expected a number of calls'
wait_for_calls carol --answer 0
call alice sip:bob@example.com --proxy "sip:$(at carol udp)" --repeat 3
check 'of many calls the first that fails is the last' [ "$code $(grep -c '^calling: ' "$dir/stdout")" = '5 1' ]
kill "${pid_of[carol]}"
ended carol

phones_end
