#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# Voice messages, left in a plain SIP mailbox for who does not answer, and fetched later; and what
# the mailbox can do with them, which is nothing. Prints TAP.
# Usage: voicemail.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH MIKEY_VOICEMAIL
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5") voicemail=$(realpath "$6")
rig_begin "$1" "$2" "$3"
start_kms ''
mulaw "$speech" alice.wav

# --- the mailbox ------------------------------------------------------------------------------------

mkdir -m 700 box fetched
printf '%s\n' 'bob@example.com open sesame' 'erin@example.com other' > box.users
echo 'open sesame' > bob.password
echo 'guessed' > wrong.password
chmod 600 ./*.password
"$voicemail" 127.0.0.1:0 127.0.0.1:0 box box.users > box.said 2> box.error &
pids+=($!)
pid_of[box]=$!
for _ in $(seq 500); do grep -q '^listening: http' box.said && break; sleep 0.01; done
mailbox="sip:$(sed -n 's/^listening: tcp //p' box.said);transport=tcp"
web=$(sed -n 's/^listening: \(http.*\)$/\1/p' box.said)

kept() { find box -name '*.kept' | wc -l; }
has_kept() { [ "$(kept)" = "$1" ]; }
fetch() { # USER PASSWORD-FILE OPTIONS...
    local user=$1 password=$2
    shift 2
    timeout 40 "$phone" --credentials "$user.cred" --kms "$http" --listen 127.0.0.1:0 --voicemail "$mailbox" \
        --sip-password-file "$password" --fetch-messages fetched "$@" > "$dir/stdout" 2> "$dir/stderr" < /dev/null
    code=$?
    cat "$dir/stdout" "$dir/stderr" >> "$said"
}
fetched() { find fetched -type f | wc -l; }
all_fetched() { [ "$(fetched)" = "$1" ] && for f in fetched/*; do cmp -s "$f" alice.wav || return 1; done; }
status() { curl -s -o "$dir/ignored" -w '%{http_code}' "$@"; }
answers() { local expected=$1; shift; [ "$(status "$@")" = "$expected" ]; }

# --- leaving ----------------------------------------------------------------------------------------

capture_begin mail
leave=(--leave-message alice.wav --voicemail "$mailbox")
nowhere="sip:127.0.0.1:1;transport=tcp"
call alice sip:bob@example.com --proxy "$nowhere"
check 'nobody is there' exits 5
call alice sip:bob@example.com --proxy "$nowhere" "${leave[@]}"
check 'with a message to leave, it is left' exits 0
check 'and that is said' prints '^left: a message for sip:bob@example.com, [0-9]* octets, sealed$'
check 'the mailbox has it' has_kept 1
call alice sip:bob@example.com --proxy "$mailbox" --leave-message alice.wav
check 'a proxy may send the call to the mailbox by itself' prints '^left: a message'
check 'which keeps that one, too' has_kept 2
wait_for_calls bob
call alice sip:bob@example.com --proxy "sip:$(at bob tcp);transport=tcp" "${leave[@]}" --leave-after 700
check 'a phone that rings and rings is left a message' prints '^left: a message'
check 'after the call was taken back' said_by bob '^ended: given up by the caller$'
: > carol.said
"$phone" --credentials carol.cred --kms "$udp" --listen 127.0.0.1:0 --proxy "sip:$(at bob tcp);transport=tcp" \
    sip:bob@example.com > carol.said 2> carol.error < /dev/null &
pid_of[carol]=$!
pids+=($!)
for _ in $(seq 500); do grep -q '^progress: 18' carol.said && break; sleep 0.01; done
call alice sip:bob@example.com --proxy "sip:$(at bob tcp);transport=tcp" "${leave[@]}"
check 'so is one that is busy' prints '^left: a message'
check 'the mailbox has four' has_kept 4
kill "${pid_of[carol]}" "${pid_of[bob]}"
ended carol
ended bob
wait_for_calls bob --answer 0 --once
call alice sip:bob@example.com --proxy "sip:$(at bob tcp);transport=tcp" "${leave[@]}" --hang-up 300
ended bob
check 'one that answers gets none' bash -c "grep -q '^answered:' '$dir/stdout' && ! grep -q '^left:' '$dir/stdout'"
check 'nor does the mailbox' has_kept 4
call alice sip:nobody@example.com --proxy "$nowhere" "${leave[@]}"
check 'a stranger has no mailbox there' prints_on 5 '^mailbox: 404 Not Found$'
call alice sip:bob@example.com --proxy "$nowhere" --leave-message alice.wav
check 'without a mailbox it is said that nothing was left' prints_on 5 '^not-left: no --voicemail is given$'
call alice sip:bob@example.com --proxy "$nowhere" --leave-message alice.wav --voicemail mailbox
check 'what is no mailbox is refused before anybody is called' exits_saying 2 '^mikey-phone: --voicemail mailbox: expected a SIP-URI'
call alice "$nowhere" --group sip:team@example.com "${leave[@]}"
check 'as is a message for who is called as a group' exits_saying 2 'leave-message is for one'
call alice sip:bob@example.com --proxy "$nowhere" --leave-message "$dir/bob.cred"
check 'what is no speech is not left' exits_saying 2 'leave-message'
capture_end

# --- what the mailbox has ---------------------------------------------------------------------------

python3 "$tools/mailbox.py" box bob.cred "$udp" alice.wav box.said > "$dir/stdout" 2> "$dir/stderr"
code=$?
check 'nothing that the mailbox keeps is speech, or a key, in any form' prints '^4 objects'
check_capture 'nor was anything of it on the network' bash -c \
    "python3 '$tools/mailbox.py' box bob.cred '$udp' alice.wav mail.pcapng > '$dir/stdout' 2> '$dir/stderr'"
cp alice.wav leak
check 'where it would be found' bash -c "! python3 '$tools/mailbox.py' box bob.cred '$udp' alice.wav leak 2> '$dir/ignored'"
first=$(find box -name '*.kept' | head -n 1)
run open --credentials carol.cred --kms "$http" --out never "$first"
check 'its operator cannot have the ticket resolved, even as a user of the KMS' exits_saying 3 'Invalid ID'
check 'and gets nothing' absent never

# --- fetching ---------------------------------------------------------------------------------------

fetch bob wrong.password
check 'who does not know the password gets no message' prints_on 5 '^mailbox: 401'
fetch carol bob.password
check 'nor does one who has no mailbox there' prints_on 5 '^mailbox: 404'
cp "$first" damaged
python3 -c 'import sys
f = open(sys.argv[1], "r+b"); f.seek(9000); b = f.read(1); f.seek(9000); f.write(bytes([b[0] ^ 1]))' "$first"
fetch bob bob.password
check 'there are four messages' grep -q '^messages: 4$' "$dir/stdout"
check 'one was damaged, and that is said' prints_on 5 '^not-fetched: the sealed object is refused'
check 'the other three are opened, bit by bit' all_fetched 3
check 'who left them is told' grep -q '^from: sip:alice@example.com$' "$dir/stdout"
check 'as vouched for by the KMS' grep -q '^vouched-for: by sip:kms@example.com$' "$dir/stdout"
check 'and when' grep -q "^sealed-at: $(date -u +%Y)" "$dir/stdout"
check 'what could not be opened stays in the mailbox' has_kept 1
cp damaged "$first"
fetch bob bob.password
check 'until it can' exits 0
check 'it is opened then' all_fetched 4
check 'and the mailbox is empty' has_kept 0
check 'the files are for their owner only' bash -c "[ \$(stat -c %a fetched/* | sort -u) = 600 ]"
for n in $(seq 33); do
    cp damaged "box/bob@example.com/$(printf '%032x' "$n").kept"
done
fetch bob bob.password
check 'more messages than one answer names are fetched, too' all_fetched 37
check 'in several answers' test "$(grep -c '^messages: ' "$dir/stdout")" = 3
fetch bob bob.password
check 'there is nothing more' prints '^mailbox: 480 No Messages$'
fetch bob bob.password sip:alice@example.com
check 'one does not fetch and call' exits_saying 2 'with no SIP-URI'

run seal --credentials alice.cred --kms "$http" --to sip:carol@example.com --out others.sealed alice.wav
for n in $(seq 16); do cp others.sealed "box/bob@example.com/$(printf '%032x' "$n").kept"; done
touch -d '1 hour ago' box/bob@example.com/*.kept
cp damaged "box/bob@example.com/$(printf '%032x' 17).kept"
fetch bob bob.password
check 'messages that cannot be opened stay' has_kept 17
check 'and that they hide others is told' prints_on 3 '^mailbox: more may be there, behind what stays: --remove-unopened '
fetch bob bob.password --remove-unopened
check 'who wants has them removed' prints_on 3 '^not-fetched: the KMS refused: .*; removed from the mailbox$'
check 'and gets what was behind them' all_fetched 38
check 'of which nothing is left in the mailbox' has_kept 0
cp others.sealed "box/bob@example.com/$(printf '%032x' 1).kept"
timeout 40 "$phone" --credentials bob.cred --kms "$closed" --timeout 1 --listen 127.0.0.1:0 --voicemail "$mailbox" \
    --sip-password-file bob.password --fetch-messages fetched --remove-unopened > "$dir/stdout" 2> "$dir/stderr" < /dev/null
code=$?
check 'but not while the KMS cannot say' prints_on 6 '^not-fetched: no answer from the KMS'
check 'of what may still be opened' has_kept 1
fetch bob bob.password --remove-unopened
cp damaged "box/bob@example.com/$(printf '%032x' 1).kept"
fetch bob bob.password --fetch-messages alice.wav
check 'a file is no folder' exits_saying 1 'alice.wav is no folder'
fetch bob bob.password --fetch-messages nowhere/fetched
check 'nor is what cannot be made' exits_saying 1 'nowhere/fetched is no folder'
fetch bob bob.password --fetch-messages fetched.new
check 'a folder that is not there is made, for its owner only' mode_is 700 fetched.new
check 'and has the message, and nothing else' test "$(find fetched.new -mindepth 1 | wc -l)" = 1

# --- behind a proxy that forwards what nobody takes -------------------------------------------------

if command -v kamailio > "$dir/ignored"; then
    start_proxy -A "MAILBOX=\"$mailbox\""
    wait_for_calls bob --register --proxy "$(through tcp)"
    registered bob
    call alice sip:bob@example.com --proxy "$(through tcp)" --leave-message alice.wav
    check 'a call that a proxy forwards after a while is left as a message, without a word of where' prints '^left: a message'
    check 'when the phone of Bob has rung' said_by bob '^ringing:'
    kill "${pid_of[bob]}"
    ended bob
    call alice sip:erin@example.com --proxy "$(through tcp)" --leave-message alice.wav
    check 'so is one for somebody who is nowhere' prints '^left: a message for sip:erin@example.com'
    call alice sip:bob@example.com --proxy "$(through tcp)"
    check 'without a message to leave the call ends there' prints_on 5 '^ended: 302'
    rm -r box/erin@example.com
    fetch bob bob.password
    check 'Bob has his' all_fetched 39
else
    echo '# no kamailio'
fi

# --- the mailbox among strangers --------------------------------------------------------------------

none=$(printf '%032d' 0)
check 'nobody leaves anything unasked' answers 404 -T alice.wav "$web/bob@example.com/$none"
check 'nor reads what is not there' answers 404 "$web/bob@example.com/$none"
check 'nor leaves the folder' answers 404 --path-as-is "$web/bob@example.com/../../box.users"
check 'nor asks for more than there is' answers 405 -X POST "$web/bob@example.com/$none"
: > "box/bob@example.com/$none.asked"
check 'a place that was asked for takes one message' answers 201 -T alice.wav "$web/bob@example.com/$none"
check 'and no second one' answers 404 -T alice.wav "$web/bob@example.com/$none"
: > "box/bob@example.com/$none.asked"
truncate -s 17M long
check 'nor one that is too long' answers 413 -T long "$web/bob@example.com/$none"
: > "box/bob@example.com/$none.asked"
check 'nor one of nothing' answers 400 -T /dev/null -H 'Content-Length: 0' "$web/bob@example.com/$none"
check 'of which nothing is left' bash -c "[ \$(find box -name '*.part' | wc -l) = 0 ]"
kill "${pid_of[box]}"
wait "${pid_of[box]}"
echo "box $?" >> phones.ended
phones_end
