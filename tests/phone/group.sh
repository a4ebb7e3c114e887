#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of the scripts below
# Calls of a group, between real phones and through a real KMS. Prints TAP.
# Usage: group.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH MIKEY_DEMO_MEDIA
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
here=$(cd "$(dirname "$0")" && pwd)
phone=$(realpath "$4") speech=$(realpath "$5") media=$(realpath "$6")
rig_begin "$1" "$2" "$3"
. "$here/groups.sh"
before_kms() {
    kms_says group add "$team"
    for user in erin frank; do
        kms_says user add "sip:$user@team.example.com" --psk-out "$user.cred"
    done
    for member in sip:bob@example.com sip:carol@example.com 'sip:*@team.example.com'; do
        kms_says group member-add "$team" "$member"
    done
    kms_says user add sip:mallory@example.com --psk-out mallory.cred
}
start_kms ''
mulaw "$speech" alice.wav
mulaw --backwards "$speech" bob.wav
erin=$(free_port)

# --- members, talkers, and one who is none ----------------------------------------------------------

for who in bob carol mallory; do
    open_phone $who --answer 0 --play bob.wav --record "heard-by-$who.wav" --once
done
capture_begin group
open_phone alice --group "$team" --first-index $((5 * 65536 + 65535)) --play alice.wav \
    --record heard-by-alice.wav "$(uri_of bob)" "$(uri_of carol)" "$(uri_of mallory)" \
    "sip:erin@127.0.0.1:$erin;transport=tcp"
check 'the members of a group join' says_soon alice '^joined:' 2
check 'each vouched for by the KMS' said_by alice '^joined: sip:bob@example.com, vouched for by sip:kms@example.com$'
check 'with a ticket for the group' said_by alice '^ticket: flags DEFHINO, '
check 'who is no member does not' says_soon alice '^not-joined: sip:mallory@.* 488 '
check 'and is refused by the KMS' says_soon mallory '^ended: the KMS refused'
check 'nor does who cannot be reached' says_soon alice '^not-joined: sip:erin@'
check 'members see who calls' said_by bob '^peer: sip:alice@example.com$'
check 'which group it is' said_by bob "^group: $team\$"
check 'and who else is there' says_soon bob '^joined: sip:carol@example.com, vouched for to sip:alice@example.com$'
check 'nobody talks before the key is pushed' never_said bob '^talking:'
press alice t
check 'who pushes talks' says_soon bob '^talking: sip:alice@example.com, vouched for by sip:kms@example.com$'

# --- somebody joins in the middle of it, after the sequence number has wrapped ----------------------

open_phone erin --listen "127.0.0.1:$erin" --answer 0 --record heard-by-erin.wav --once
press alice i
check 'one who was not there can be called later' says_soon alice '^joined: sip:erin@team.example.com, '
check 'and hears at once who talks' says_soon erin '^talking: sip:alice@example.com, '
check 'and knows who is there' says_soon erin '^joined: sip:bob@example.com, '
check 'all is said' says_soon alice '^played: '
press alice t
check 'who lets go is quiet' says_soon carol '^quiet: sip:alice@example.com$'
press bob t
check 'a member talks' says_soon carol '^talking: sip:bob@example.com, vouched for to sip:alice@example.com$'
check 'the initiator sees who' says_soon alice '^talking: sip:bob@example.com, vouched for by sip:kms@example.com$'
check 'and all of it is said' says_soon bob '^played: '
press bob t
check 'until the key is pushed again' says_soon erin '^quiet: sip:bob@example.com$'
press alice h
for who in bob carol erin mallory alice; do close_phone $who; done
capture_end
check 'the initiator ends the call' said_by alice '^ended: by us$'
check 'for everybody' said_by erin '^ended: by the initiator$'
check 'one member heard both talkers bit by bit' holds_speech heard-by-carol.wav alice.wav bob.wav
check 'so did the other talker' holds_speech heard-by-bob.wav alice.wav
check 'and the initiator' holds_speech heard-by-alice.wav bob.wav
check 'the one who came late heard all of what came then' holds_speech heard-by-erin.wav bob.wav
check 'not a packet was lost or refused' said_by carol '^media: 0 sent, [0-9]* heard, 0 lost, 0 refused,'
check 'nor with the one who came late' said_by erin '^media: 0 sent, [0-9]* heard, 0 lost, 0 refused,'
check 'and the one who is no member nothing' heard_nothing mallory
check_capture 'the network sees none of it in the clear' sees_only_srtp group alice.wav bob.wav
check_capture 'and no keystream twice' no_keystream_twice group

# --- somebody is removed at the KMS, and somebody leaves --------------------------------------------

for who in bob carol erin; do
    open_phone $who --answer 0 --record "$who.after.wav"
done
capture_begin before
open_phone alice --group "$team" --play alice.wav "$(uri_of bob)" "$(uri_of carol)" "$(uri_of erin)"
check 'three join' says_soon alice '^joined:' 3
capture_end
kms_says group member-remove "$team" sip:carol@example.com
knows_member carol 3
capture_begin after
press alice k
check 'a member who was removed gets no new keys' says_soon alice '^not-joined: sip:carol@.* 488 '
check 'since the KMS refuses' says_soon carol '^not-rekeyed: the KMS refused'
check 'the others have them' says_soon alice '^rekeyed: by us$'
check 'one' says_soon bob '^rekeyed: by the initiator$'
check 'and the other' says_soon erin '^rekeyed: by the initiator$'
press alice t
check 'what is said then' says_soon alice '^played:'
press alice t
check 'is heard by whoever has them' says_soon erin '^quiet: sip:alice'
check 'who has not is sent away' says_soon carol '^ended: by the initiator$'
check 'and has heard nothing' heard_nothing carol
check 'nor was anything sent to it' said_by carol '^media: 0 sent, 0 heard, 0 lost, 0 refused,'
press alice i
check 'nor can join again' says_soon alice '^not-joined: sip:carol@.* 488 ' 2
press erin h
check 'when a member leaves' says_soon alice '^left: sip:erin@team.example.com$'
check 'the one who stays hears of it' says_soon bob '^left: sip:erin@team.example.com$'
check 'and gets new keys without being asked' says_soon bob '^rekeyed: by the initiator$' 2
check 'what was said until then was heard bit by bit' holds_speech erin.after.wav alice.wav
press alice i
check 'who has left may come back' says_soon alice '^joined: sip:erin@team.example.com, ' 2
capture_end
for who in bob erin; do press $who h; done
check 'when all have left' says_soon alice '^left: sip:bob@example.com$'
check 'one' says_soon alice '^left: sip:erin@team.example.com$' 2
press alice i
check 'the first who comes back' says_soon alice '^joined: sip:bob@example.com, ' 2
check 'has the keys of a new ticket' says_soon alice '^ticket: ' 2
check 'as has the other' says_soon alice '^joined: sip:erin@team.example.com, ' 3
press alice h
check 'the call ends' says_soon bob '^ended: by the initiator$'
for who in bob carol erin; do press $who q; done
for who in bob carol erin alice; do close_phone $who; done
check 'who has stayed has heard it too' holds_speech bob.after.wav alice.wav
check_capture 'with keys of which the network sees nothing' sees_only_srtp after alice.wav
check_capture 'and no keystream twice' no_keystream_twice after

# --- over multicast, with a pattern for a group -----------------------------------------------------

group=239.255.$((RANDOM % 256)).$((RANDOM % 254 + 1)):$(free_port)
for who in erin frank mallory; do
    open_phone $who --answer 0 --record "$who.multicast.wav" --play bob.wav --once
    uri_of $who
done > members
sed -i '1i # who is in the team\n' members
capture_begin multicast
open_phone alice --group 'sip:*@team.example.com' --members members --multicast "$group" --rekey 6s --play alice.wav \
    --record alice.multicast.wav
check 'everybody of a domain can be a group' says_soon alice '^joined: sip:.*@team.example.com, ' 2
check 'and nobody else' says_soon alice '^not-joined: sip:mallory@.* 488 '
press alice t
check 'what the initiator says to a multicast group' says_soon alice '^played:'
press alice t
says_soon erin '^quiet: sip:alice'
press erin t
check 'and a member' says_soon erin '^played:'
press erin t
says_soon frank '^quiet: sip:erin'
press alice h
for who in erin frank mallory alice; do close_phone $who; done
capture_end
check 'in the midst of which keys were replaced, since they last six seconds only' said_by frank '^rekeyed: by the initiator'
check 'is heard by the members bit by bit' holds_speech frank.multicast.wav alice.wav bob.wav
check 'and by the initiator' holds_speech alice.multicast.wav bob.wav
check 'who has to pass on nothing' said_by alice '^media: [0-9]* sent, [0-9]* heard, 0 lost, 0 refused, 0 forwarded$'
check 'nor is anything lost or refused at a member' said_by frank '^media: 0 sent, [0-9]* heard, 0 lost, 0 refused,'
check 'who is no member has heard nothing' heard_nothing mallory
check_capture 'and the network sees only SRTP' sees_only_srtp multicast alice.wav bob.wav
check_capture 'and no keystream twice' no_keystream_twice multicast

# --- what is no group call --------------------------------------------------------------------------

# group_call OPTIONS...: one of Alice that ends by itself.
group_call() {
    timeout 40 "$phone" --credentials alice.cred --listen 127.0.0.1:0 --group "$team" "$@" \
        > "$dir/stdout" 2> "$dir/stderr" < /dev/null
    code=$?
}
echo '# nobody' > nobody
group_call --kms "$http" --members nobody
check 'a group without members is not called' exits_saying 2 'nobody to call'
group_call --kms "$http" tel:110
check 'nor is a member that is no SIP-URI' exits_saying 2 'tel:110: expected a SIP-URI'
for bad in sip: 'sip:bob@exa mple.com' '<sip:bob@example.com>'; do
    group_call --kms "$http" "$bad"
    check "nor $bad" exits_saying 2 "$bad: expected a SIP-URI"
done
printf '  %s\t\r\n \t\n  # twice\n%s\n' 'sip:bob@127.0.0.1:1;transport=tcp' 'sip:bob@127.0.0.1:1;transport=tcp' > twice
group_call --kms "$http" --members twice 'sip:bob@127.0.0.1:1;transport=tcp'
check 'who is named three times, with blanks around, is one member' prints_on 5 "^group: $team, 1 member\$"
check 'and called once' test "$(grep -c '^not-joined: sip:bob@127.0.0.1:1;transport=tcp: ' "$dir/stdout")" = 1
call alice sip:bob@example.com --members members
check 'members are those of a group' exits_saying 2 '^mikey-phone: --members'
call alice sip:bob@example.com --multicast "$group"
check 'as is multicast' exits_saying 2 '^mikey-phone: --multicast'
for bad in 192.0.2.1:4000 239.1.2.3 239.1.2.3:0 239.1.2.3:4000/ 239.1.2.3:4000/0 239.1.2.3:4000/256; do
    group_call --kms "$http" --multicast "$bad" sip:bob@example.com
    check "$bad is no multicast group" exits_saying 2 "^mikey-phone: --multicast $bad: expected"
done
group_call --kms "$http" 'sip:bob@127.0.0.1:1;transport=tcp'
check 'a call to nobody ends' prints_on 5 '^ended: nobody has joined$'
group_call --kms "$closed" --timeout 1 'sip:bob@127.0.0.1:1;transport=tcp'
check 'as does one without a ticket' prints_on 6 '^ended: no answer'

# --- what the keys of before are worth --------------------------------------------------------------

# Whoever was a member then has resolved the ticket of before; and tries it on what was said after.
if [ -n "$capture_pid" ]; then
    kms_says group member-add "$team" sip:carol@example.com
    knows_member carol 0
    python3 "$tools/messages.py" before.pcapng --write TRANSFER_INIT "$team" > old.offer
    python3 "$tools/messages.py" after.pcapng --write TRANSFER_INIT "$team" > new.offer
    run answer --credentials carol.cred --kms "$http" --offer old.offer --out old.answer --session old.session
    run answer --credentials carol.cred --kms "$http" --offer new.offer --out new.answer --session new.session
    kms_says group member-remove "$team" sip:carol@example.com
    knows_member carol 3
    # with the SSRC of what was said after: only the keys are the old ones
    sed "s/$(ssrc_of old.session)/$(ssrc_of new.session)/" old.session > tried.session
    chmod 600 tried.session
fi
check_capture 'the new keys open what was said' opens_all after new.session
check_capture 'those of before open nothing of it' opens_nothing after tried.session
[ -z "$capture_pid" ] ||
    run answer --credentials carol.cred --kms "$http" --offer new.offer --out no.answer --session no.session
check_capture 'and who was removed does not get the new ones' exits 3

phones_end
