#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of the scripts below
# Group calls that are not as they should be: two phones of a member, somebody else's call, an offer of
# before, offers that lack what a group needs. Prints TAP.
# Usage: group_odd.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"

here=$(cd "$(dirname "$0")" && pwd)
phone=$(realpath "$4") speech=$(realpath "$5")
rig_begin "$1" "$2" "$3"
. "$here/groups.sh"
before_kms() {
    kms_says group add "$team"
    for user in bob carol; do kms_says group member-add "$team" "sip:$user@example.com"; done
}
start_kms ''
mulaw "$speech" alice.wav

sdp() { printf '%s\r\n' v=0 'o=- 1 1 IN IP4 127.0.0.1' s=- 'c=IN IP4 127.0.0.1' 't=0 0' "$@"; }
roster='a=rtpmap:126 mikey-roster/8000'
# invite NAME MESSAGE [--wait]: the offer of a group call with that message; what came back is the output.
invite() {
    sdp "a=key-mgmt:mikey $2" 'm=audio 40000 RTP/SAVP 0 126' "$roster" |
        python3 "$tools/sip_offer.py" "$(at "$1" udp)" "${@:3}" > "$dir/stdout" 2> "$dir/stderr"
    code=$?
}
answers() { head -n 1 "$dir/stdout" | grep -q "^$1"; }

# --- a member with two phones -----------------------------------------------------------------------

for device in desk mobile; do open_phone bob.$device --answer 0 --record "$device.wav"; done
mkfifo middle
python3 "$tools/sip_middle.py" fork "$(at bob.desk udp)" "$(at bob.mobile udp)" > middle 2> middle.error &
pids+=($!)
read -r _ port < middle
capture_begin fork
open_phone alice --group "$team" --play alice.wav "sip:bob@127.0.0.1:$port"
check 'of two phones of a member' says_soon alice '^joined: sip:bob@example.com, '
one_is_sent_away() {
    for ((i = 0; i < 500; i++)); do
        [ "$(cat bob.*.said | grep -c '^ended: by the initiator$')" -eq 1 ] && return
        sleep 0.01
    done
    return 1
}
check 'one is sent away' one_is_sent_away
press alice t
says_soon alice '^played:'
press alice h
for who in bob.desk bob.mobile; do press $who q; done
for who in bob.desk bob.mobile alice; do close_phone $who; done
capture_end
one_of_them() {
    if [ -e desk.wav ]; then
        holds_speech desk.wav alice.wav && absent mobile.wav
    else
        holds_speech mobile.wav alice.wav
    fi
}
check 'and the other alone hears what is said' one_of_them
# RFC 3711 9.1: under one key they must not have one SSRC, whatever the offer said.
two_ssrcs() { python3 "$tools/ssrcs.py" fork.pcapng 2 2 "$ticket" > "$dir/stdout" 2> "$dir/stderr"; }
check_capture 'they would have talked with SSRCs of their own' two_ssrcs

# --- in a call: those who have nothing to do with it --------------------------------------------------

open_phone bob --answer 0 --record bob.wav
capture_begin call
open_phone alice --group "$team" --play alice.wav "$(uri_of bob)"
says_soon alice '^joined: sip:bob@'
capture_end
open_phone carol --group "$team" "$(uri_of bob)"
check 'another member cannot call into the call' says_soon carol '^not-joined: sip:bob@.* 488 '
check 'though the KMS vouches for it' said_by bob "^not-rekeyed: sip:carol@example.com calls for $team into"
call alice "$(uri_of bob)"
check 'nor can a call of two parties' prints_on 5 '^ended: 486 '
press alice t
check 'the call goes on' says_soon alice '^played:'
press alice t
check 'as before' says_soon bob '^quiet: sip:alice@'
close_phone carol

# --- how it stands --------------------------------------------------------------------------------

press alice s
check 'who asks how the call stands is told of the group' says_soon alice "^status: group  *$team\$"
check 'who is there' said_by alice '^status: there  *1: sip:bob@example.com$'
check 'who vouches for them' said_by alice '^status: vouched by  *sip:kms@example.com$'
check 'how long it is, and what was heard' said_by alice '^status: packets  *[1-9][0-9]* sent, 0 heard, 0 lost, 0 refused'
press bob s
check 'a member is told who calls' says_soon bob '^status: peer  *sip:alice@example.com$'
check 'and the same' said_by bob "^status: group  *$team\$"

# --- a member that says nothing when there are new keys -----------------------------------------------

open_phone carol --answer 0
press alice h
check 'the call ends' says_soon bob '^ended: by the initiator$'
check 'and was heard bit by bit' holds_speech bob.wav alice.wav
close_phone alice
open_phone alice --group "$team" "$(uri_of bob)" "$(uri_of carol)"
check 'two join' says_soon alice '^joined:' 2
kill -STOP "${pid_of[carol]}"
press alice k
check 'who does not answer is out' says_soon alice '^not-joined: sip:carol@.* no answer$'
check 'and the other has the new keys' says_soon bob '^rekeyed: by the initiator$'
kill -CONT "${pid_of[carol]}"
check 'who comes to itself again is told' says_soon carol '^ended: by the initiator$'

# --- a member that crashes, and comes back ------------------------------------------------------------

press alice i
check 'it can come back' says_soon alice '^joined: sip:carol@' 2
where=$(at carol tcp)
kill -KILL "${pid_of[carol]}"
wait "${pid_of[carol]}" 2> "$dir/ignored"
cp carol.error carol.killed.error
open_phone carol --listen "$where" --answer 0
press alice i
check 'who was asked whether it is there, and does not know the call, has left it' says_soon alice '^left: sip:carol@'
check 'and is called again' says_soon alice '^joined: sip:carol@' 3
check 'under new keys for the others' says_soon bob '^rekeyed: by the initiator$' 2
press carol q
close_phone carol

# --- a call that outlives its ticket --------------------------------------------------------------------

later=$(free_port)
open_phone carol --answer 0 --once
open_phone alice.long --group "$team" --validity 4s "$(uri_of carol)" "sip:bob@127.0.0.1:$later;transport=tcp"
check 'a ticket is replaced before it ends' says_soon alice.long '^rekeyed: by us$' 2
open_phone bob.late --listen "127.0.0.1:$later" --answer 0 --once
press alice.long i
check 'so that whoever comes after its end can join' says_soon alice.long '^joined: sip:bob@example.com, '
press alice.long h
for who in carol bob.late alice.long; do close_phone $who; done

# --- an initiator that is gone ------------------------------------------------------------------------

open_phone carol --answer 0
open_phone bob.other --group "$team" "$(uri_of carol)"
check 'a member is called' says_soon carol '^answered: by us$'
kill -KILL "${pid_of[bob.other]}"
says_soon carol '^ended:'
check 'whose initiator is gone is free again' says_soon carol '^ended: the initiator is gone: nothing has come from it for 15 s$'
wait "${pid_of[bob.other]}" 2> "$dir/ignored"
press carol q
close_phone carol

# --- offers that are none ---------------------------------------------------------------------------

press alice h
says_soon bob '^ended: by the initiator$' 2
[ -z "$capture_pid" ] || invite bob "$(python3 "$tools/messages.py" call.pcapng --write TRANSFER_INIT "$team")"
check_capture 'the offer of a former call is refused' answers 488
check_capture 'as what it is' says_soon bob 'the offer is refused: it is that of a former call'
run request --credentials alice.cred --kms "$http" --to "$team" --flags DEFHINO --key GTGK --out t.mkt
run offer --credentials alice.cred --ticket t.mkt --to "$team" --out one.offer --state o.state --sdp-ids mikey \
    --sessions 1
invite bob "$(cat one.offer)"
check 'an offer without a session for the member is refused' answers 488
check 'as what it is' says_soon bob 'a group call without a session of ours'
run request --credentials alice.cred --kms "$http" --to "$team" --no-forking --key GTGK --out t.mkt
run offer --credentials alice.cred --ticket t.mkt --to "$team" --out two.offer --state o.state --sdp-ids mikey
invite bob "$(cat two.offer)" --wait
check 'as is one that any member can have made' says_soon bob '^ended: nobody vouches for sip:alice@example.com: '
invite bob AQ4AAAAAAAAB
check 'as is a message that is cut' answers 488
press bob q
for who in bob alice; do close_phone $who; done

phones_end
