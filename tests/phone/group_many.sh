#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of the scripts below
# A group of many: all hear who talks, and from the next ticket on one who was removed does not. Prints
# TAP, and figures as comments.
# Usage: group_many.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH MEMBERS
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"

here=$(cd "$(dirname "$0")" && pwd)
phone=$(realpath "$4") speech=$(realpath "$5") members=$6
rig_begin "$1" "$2" "$3"
. "$here/groups.sh"
mapfile -t everybody < <(seq -f 'm%03.0f' "$members")
removed=${everybody[1]}
before_kms() {
    kms_says group add "$team"
    for who in "${everybody[@]}"; do
        kms_says user add "sip:$who@example.com" --psk-out "$who.cred"
        kms_says group member-add "$team" "sip:$who@example.com"
    done
}
start_kms ''
mulaw "$speech" alice.wav
mulaw --backwards "$speech" talker.wav
now_ms() { date +%s%3N; }
# cpu_ms PID: user and system time.
cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 1000 / hz) }' "/proc/$1/stat"; }
cpu_of_members() {
    local sum=0 who
    for who in "${everybody[@]}"; do sum=$((sum + $(cpu_ms "${pid_of[$who]}"))); done
    echo $sum
}
# each COMMAND...: for every member; % is the member.
each() {
    local who
    for who in "${everybody[@]}"; do
        "${@//%/$who}" || { echo "$who" >> "$dir/stderr" && return 1; }
    done
}
each_but_removed() {
    local everybody=("${everybody[0]}" "${everybody[@]:2}")
    each "$@"
}
figure() { echo "# $1"; }

for who in "${everybody[@]}"; do
    open_phone "$who" --answer 0 --play talker.wav --record "$who.wav"
    uri_of "$who"
done > team
capture_begin many
began=$(now_ms)
open_phone alice --group "$team" --members team --play alice.wav --record heard-by-alice.wav
check "all of $members members join" says_soon alice '^joined:' "$members"
figure "$members members were in after $(($(now_ms) - began)) ms, from the start of the initiator's phone on;\
 CPU: initiator $(cpu_ms "${pid_of[alice]}") ms, members $(cpu_of_members) ms, KMS $(cpu_ms "${pids[0]}") ms"
check 'and know of each other' each says_soon % '^joined:' $((members - 1))

# --- a member talks ---------------------------------------------------------------------------------

before=$(cpu_ms "${pid_of[alice]}") of_members=$(cpu_of_members)
press "${everybody[0]}" t
check 'one of them talks' says_soon "${everybody[0]}" '^played:'
press "${everybody[0]}" t
check 'and the initiator sees when it is over' says_soon alice "^quiet: sip:${everybody[0]}@"
check 'as does the last of the members' says_soon "${everybody[-1]}" "^quiet: sip:${everybody[0]}@"
figure "six seconds of speech: CPU of the initiator, who passes it on, $(($(cpu_ms "${pid_of[alice]}") - before)) ms, \
of all members $(($(cpu_of_members) - of_members)) ms"

# --- one is removed ---------------------------------------------------------------------------------

kms_says group member-remove "$team" "sip:$removed@example.com"
knows_member "$removed" 3
began=$(now_ms)
press alice k
check 'who was removed gets no new keys' says_soon "$removed" '^not-rekeyed: the KMS refused'
check 'all others do' says_soon alice '^rekeyed: by us$'
check 'and use them' each_but_removed says_soon % '^rekeyed: by the initiator$'
figure "new keys for everybody took $(($(now_ms) - began)) ms"
press alice t
check 'the initiator talks' says_soon alice '^played:'
press alice t
check 'until it lets go' each_but_removed says_soon % '^quiet: sip:alice@'
check 'who was removed is sent away' says_soon "$removed" '^ended: by the initiator$'
press alice i
check 'and cannot come back' says_soon alice "^not-joined: sip:$removed@.* 488 "  2
figure "memory of the initiator's phone: $(awk '/VmHWM/ { print $2 }' "/proc/${pid_of[alice]}/status") KB"
press alice h
each says_soon % '^ended:'
for who in "${everybody[@]}"; do press "$who" q; done
for who in alice "${everybody[@]}"; do close_phone "$who"; done
capture_end

heard_talker() { [ "$1" = "${everybody[0]}" ] || holds_speech "$1.wav" talker.wav; }
check 'everybody has heard the member bit by bit' each heard_talker %
check 'so has the initiator' holds_speech heard-by-alice.wav talker.wav
check 'all but the one who was removed have heard the initiator' each_but_removed holds_speech %.wav alice.wav
heard_no_more() { holds_speech "$removed.wav" talker.wav && ! shares_speech "$removed.wav" alice.wav; }
check 'who has heard nothing of that' heard_no_more
lost_nothing() { said_by "$1" '^media: [0-9]* sent, [0-9]* heard, 0 lost, '; }
check 'no packet was lost on the way to anybody' each lost_nothing %
check_capture 'the network sees none of it in the clear' sees_only_srtp many alice.wav talker.wav
check_capture 'and no keystream twice' no_keystream_twice many

phones_end
