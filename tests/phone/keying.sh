#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# Where keys come from: of MIKEY-TICKET, or of SDES where the user has asked for it, and never anything
# in the clear. Prints TAP. Usage: keying.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5")
rig_begin "$1" "$2" "$3"
start_kms ''
mulaw "$speech" alice.wav
mulaw --backwards "$speech" bob.wav
lacks_crypto() { [ -s "$1" ] && ! grep -q crypto "$1"; }
to_bob() { echo "sip:$(at bob udp)"; }
mikey='^keying: MIKEY-TICKET$' sdes='^keying: SDES: whoever has seen the signalling can listen$'

# --- both know MIKEY-TICKET -----------------------------------------------------------------------------

for mine in required preferred; do
    for theirs in required preferred sdes; do
        wait_for_calls bob --keying $theirs --answer 0 --once
        call alice sip:bob@example.com --keying $mine --proxy "$(to_bob)" --hang-up 100
        ended bob
        check "with $mine here and $theirs there it is MIKEY-TICKET" prints "$mikey"
        check 'as the other phone says, too' said_by bob "$mikey"
    done
done
by_hand bob.tablet --answer 0
call alice sip:bob@example.com --keying preferred --proxy "sip:$(at bob.tablet udp)" --hang-up 100
put_away bob.tablet
# RFC4568:5.1.1-1
check 'who prefers it offers both' grep -q '^a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:' bob.tablet.offer
check 'and takes the better one' prints "$mikey"
by_hand bob.tablet --answer 0
call alice sip:bob@example.com --proxy "sip:$(at bob.tablet udp)" --hang-up 100
put_away bob.tablet
check 'who requires it offers nothing else' lacks_crypto bob.tablet.offer

inline='inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw'

# --- SDES ------------------------------------------------------------------------------------------------

http_was=$http http=$closed # no KMS is needed
wait_for_calls bob --keying preferred --answer 100 --once --play bob.wav --record heard-by-bob.wav
capture_begin sdes
call alice sip:bob@example.com --keying sdes --proxy "$(to_bob)" --play alice.wav --record heard-by-alice.wav \
    --hang-up played
capture_end
ended bob
check 'a call by SDES works where both users have asked for it' prints "$sdes"
check 'and both are told what it is worth' said_by bob "$sdes"
check 'nobody is vouched for' prints '^vouched-for: no: by nobody$'
check 'nor is the caller' said_by bob '^vouched-for: no: by nobody$'
check 'the suite is the strongest' prints '^suite: AEAD_AES_256_GCM$'
check 'without a packet lost or refused' prints '^media: .* 0 lost, 0 refused$'
check 'reports go under these keys, too' prints '^reported: 0 lost, '
check 'both ways' said_by bob '^reported: 0 lost, '
check 'speech arrives bit by bit' same_speech alice.wav heard-by-bob.wav
check 'and the other way' begins_with bob.wav heard-by-alice.wav
check_capture 'the network sees none of it in the clear' sees_only_srtp sdes alice.wav bob.wav

for suite in AES_256_CM_HMAC_SHA1_80 AES_CM_128_HMAC_SHA1_32 AEAD_AES_256_GCM; do
    wait_for_calls bob --keying sdes --answer 0 --once --srtp $suite
    call alice sip:bob@example.com --keying sdes --proxy "$(to_bob)" --srtp AEAD_AES_128_GCM --srtp $suite --hang-up 300
    ended bob
    check "with $suite, where it is the one both have" prints "^suite: $suite\$"
    # RFC4568:5.1.2-2
    check 'packets are taken' prints '^media: .* [1-9][0-9]* heard, 0 lost, 0 refused$'
done

wait_for_calls bob --keying preferred --answer 0 --once --srtp AEAD_AES_256_GCM
call alice sip:bob@example.com --keying sdes --proxy "$(to_bob)" --srtp AEAD_AES_128_GCM
ended bob
check 'without a common suite there is no call' prints_on 5 '^ended: 488 '
# RFC4568:5.1.2-1
check 'as the callee is told' said_by bob '^ended: .*no a=crypto that is taken here'

wait_for_calls bob --answer 0 --once
call alice sip:bob@example.com --keying sdes --proxy "$(to_bob)"
ended bob
check 'who requires MIKEY-TICKET takes no call by SDES' prints_on 5 '^ended: 488 '
check 'and says why' said_by bob '^ended: .*calls without keys are not taken'
http=$http_was

offered_by_hand="a=crypto:1 AES_CM_128_HMAC_SHA1_80 $inline"
wait_for_calls bob --keying sdes --answer 0 --once
sdp "$savp" "$offered_by_hand" > same.sdp
sdp "$savp" "${offered_by_hand/MTIz/NTIz}" > other.sdp
sdp 'm=audio 40000 RTP/AVP 0' > clear.sdp
sdp "$savp" > silent.sdp
sdp "$savp" "$offered_by_hand" | python3 "$tools/sip_offer.py" "$(at bob udp)" --then same.sdp other.sdp clear.sdp silent.sdp \
    same.sdp > "$dir/stdout" 2> "$dir/stderr"
ended bob
sed -n 's/ .*//; /^[0-9]/p' "$dir/stdout" | tr '\n' ' ' > answers
# RFC4568:5.1.4-1
check 'a later offer has the key of before, or is refused' grep -qx '200 200 488 488 488 200 ' answers

# --- bidding down ------------------------------------------------------------------------------------------

wait_for_calls bob --keying preferred --answer 100 --once --record down.wav
middle fork --without 'a=key-mgmt:.*' "$(at bob udp)"
call alice sip:bob@example.com --keying preferred --proxy "$middle" --play alice.wav --hang-up played
ended bob
check 'where somebody takes MIKEY-TICKET out, who only prefers it gets SDES' prints "$sdes"
check 'and is told of it aloud' prints '^bid-down: '
check 'nobody is vouched for then' prints '^peer: not known$'
check 'the callee knows what it is worth' said_by bob "$sdes"
check 'the call is one' same_speech alice.wav down.wav

wait_for_calls bob --answer 0 --once
middle fork --without 'a=key-mgmt:.*' "$(at bob udp)"
call alice sip:bob@example.com --keying preferred --proxy "$middle"
ended bob
check 'who requires it does not take such a call' prints_on 5 '^ended: 488 '
wait_for_calls bob --keying preferred --answer 0 --once
middle fork --without 'a=key-mgmt:.*' "$(at bob udp)"
call alice sip:bob@example.com --proxy "$middle"
ended bob
check 'and who requires it makes none' prints_on 5 '^ended: 488 '

# --- answers of phones that know SDES only --------------------------------------------------------------------

# by_sdes LINE...: a phone that answers with these lines and without MIKEY.
by_sdes() {
    local edits=(--edit '^a=key-mgmt.*\n=>') line
    for line in "$@"; do edits+=(--edit "\Z=>a=crypto:$line\n"); done
    by_hand bob.tablet --answer 0 "${edits[@]}"
    call alice sip:bob@example.com --keying "${keying:-preferred}" --proxy "sip:$(at bob.tablet udp)" --hang-up 3000
    put_away bob.tablet
}
turned_down() { exits 5 && grep -q "^refused: .*$1" "$dir/stdout" && said_by bob.tablet '^got: BYE$'; }
by_sdes "4 AES_CM_128_HMAC_SHA1_80 $inline|50"
check 'such a phone is talked to' grep -q "$sdes" "$dir/stdout"
check 'as long as its key may be used' prints '^rekey-by: packet 50$'
# RFC4568:6.1-5
check 'and then no more' prints '^rekey-by: is over'
not_offered='not one of those offered'
by_sdes "9 AES_CM_128_HMAC_SHA1_80 $inline"
# RFC4568:5.1.3-1
check 'a tag that was not offered is refused' turned_down "$not_offered"
by_sdes "4 AES_CM_128_HMAC_SHA1_32 $inline"
# RFC4568:5.1.3-1
check 'so is another suite under a tag of ours' turned_down "$not_offered"
by_sdes "4 AES_CM_128_HMAC_SHA1_80 $inline UNENCRYPTED_SRTP"
check 'session parameters are refused' turned_down "$not_offered"
by_sdes "4 AES_CM_128_HMAC_SHA1_80 $inline" "2 AES_256_CM_HMAC_SHA1_80 $inline"
# RFC4568:5.1.3-1
check 'several lines are refused' turned_down "$not_offered"
by_sdes
check 'SRTP without any keys is refused' turned_down 'no keys'
keying=required by_sdes "4 AES_CM_128_HMAC_SHA1_80 $inline"
check 'who requires MIKEY-TICKET refuses the best of them' turned_down 'key-mgmt missing'

call alice sip:bob@example.com --keying clear
check 'nothing goes in the clear, whoever asks for it' exits_saying 2 'expected required, preferred or sdes'

phones_end
