#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# Mailboxes that are none, or mean ill: what they make the phone do, which is little. Prints TAP.
# Usage: odd_mailboxes.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5")
rig_begin "$1" "$2" "$3"
start_kms ''
mkdir -m 700 fetched
cp "$speech" hello.wav
run seal --credentials alice.cred --kms "$http" --to sip:bob@example.com --out good.sealed hello.wav
run seal --credentials alice.cred --kms "$http" --to sip:carol@example.com --out others.sealed hello.wav
cp good.sealed object
: > odd.said
python3 "$tools/odd_mailbox.py" object > odd.said 2> odd.error &
pids+=($!)
for _ in $(seq 500); do [ -s odd.said ] && break; sleep 0.01; done
read -r sip_port _ < odd.said
mailbox="sip:127.0.0.1:$sip_port;transport=tcp"

odd() { # ANSWER leave|fetch
    echo "$1" > answer
    wc -l < odd.said > requests.before
    if [ "$2" = leave ]; then
        call alice sip:bob@example.com --proxy "$mailbox" --leave-message hello.wav
        return
    fi
    timeout 60 "$phone" --credentials bob.cred --kms "$http" --listen 127.0.0.1:0 --voicemail "$mailbox" \
        --fetch-messages fetched > "$dir/stdout" 2> "$dir/stderr" < /dev/null
    code=$?
}
nothing_fetched() { [ -z "$(ls -A fetched)" ]; }
asked() { tail -n +$(($(cat requests.before) + 1)) odd.said | grep -q "^$1"; }
not_asked() { ! asked "$1"; }
ends_soon() {
    for ((i = 0; i < 1000; i++)); do
        kill -0 "${pid_of[$1]}" 2> "$dir/ignored" || return 0
        sleep 0.01
    done
    return 1
}
says() { [ "$code" -eq "$1" ] && grep -q "$2" "$dir/stdout"; }

# --- leaving ----------------------------------------------------------------------------------------

odd '302 Moved|<WEB/taken>' leave
check 'a mailbox that takes the message is left one' says 0 '^left: '
odd '302 Moved|<file:///etc/passwd>' leave
check 'one that names a file gets nothing' says 5 '^ended: 302'
check 'and that nothing was left is said' says 5 '^not-left: the call was refused$'
odd '302 Moved|<gopher://127.0.0.1/>' leave
check 'nor one that names something else' says 5 '^ended: 302'
odd '302 Moved' leave
check 'nor one that names nothing' says 5 '^ended: 302'
odd '302 Moved|<WEB/refused>' leave
check 'one that refuses the message is told of' says 6 '^not-left: the mailbox answers with HTTP status 500'
odd '302 Moved|<http://127.0.0.1:1/>' leave
check 'and one that cannot be reached' says 6 '^not-left: cannot reach the mailbox at http://127.0.0.1:1/'
odd "302 Moved|<WEB/$(printf 'a%.0s' $(seq 600))>" leave
check 'a name without end is none' says 5 '^ended: 302'
odd '488 Not Acceptable Here' leave
check 'a call that was refused for its keys is left no message' says 5 '^ended: 488'

echo '302 Moved|<WEB/silence>' > answer
: > waiting.said
"$phone" --credentials alice.cred --kms "$http" --listen 127.0.0.1:0 --proxy "$mailbox" --leave-message hello.wav \
    sip:bob@example.com > waiting.said 2> waiting.error < /dev/null &
pid_of[waiting]=$!
pids+=($!)
for _ in $(seq 1000); do grep -q '^PUT /silence' odd.said && break; sleep 0.01; done
kill "${pid_of[waiting]}"
check 'who does not wait for a silent mailbox ends the phone within ten seconds' ends_soon waiting
check 'and is told that nothing was left' said_by waiting '^not-left: '

# --- fetching ---------------------------------------------------------------------------------------

odd "200 OK|<sip:odd@127.0.0.1:$sip_port;transport=tcp>" fetch
check 'who answers as a phone is no mailbox' says 5 '^mailbox: 200 OK$'
for _ in $(seq 200); do asked BYE && break; sleep 0.01; done
check 'and is hung up on' asked BYE
odd "401 Unauthorized|WWW-Authenticate: Digest realm=\"x\", nonce=\"n\"" fetch
check 'who wants a password that is not given is told of' says 5 '^mailbox: 401'
odd "$(printf '480 \033[2J\a')" fetch
check 'what it says does nothing to the terminal' bash -c "! grep -q \"\$(printf '\\033')\" '$dir/stdout'"
odd '300 Many|<WEB/garbage>' fetch
check 'garbage is refused' says 4 '^not-fetched: not a sealed object'
odd '300 Many|<WEB/long>' fetch
check 'what does not end is given up' says 5 '^not-fetched: .*more than a message may'
odd '300 Many|<WEB/elsewhere>' fetch
check 'a redirection is not followed' says 6 '^not-fetched: the mailbox answers with HTTP status 302'
check 'not even to itself' not_asked 'GET /object'
odd '300 Many|<WEB/nothing>' fetch
check 'what is not there is told of' says 6 '^not-fetched: .* status 404'
cp others.sealed object
odd '300 Many|<WEB/object>' fetch
check 'the message of another is refused by the KMS' says 3 '^not-fetched: the KMS refused'
check 'and stays where it is' not_asked DELETE
check 'nothing was written, not for a moment' nothing_fetched
cp good.sealed object
odd '300 Many|<WEB/garbage>|<WEB/object>|<file:///etc/passwd>' fetch
check 'a good one among them is opened' says 6 '^from: sip:alice@example.com$'
check 'that it cannot be removed is told, too' grep -q '^not-fetched: .* status 500 at' "$dir/stdout"
check 'it is there' bash -c 'cmp -s hello.wav fetched/*.wav'
odd "300 Many$(printf '|<WEB/again>%.0s' $(seq 16))" fetch
check 'one that never ends is left after 128 messages' test "$(find fetched -type f | wc -l)" = 129
check 'in good order' exits 0
echo 'mailbox 0' > phones.ended
phones_end
