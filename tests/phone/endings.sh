#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# How calls end that nobody hangs up: a phone is told to quit, or is gone, or waits for a KMS that is silent.
# Prints TAP.
# Usage: endings.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4")
rig_begin "$1" "$2" "$3"
start_kms ''
code=0

tcp_of() { echo "sip:$(at "$1" tcp);transport=tcp"; }
# calls_bob OPTIONS...: Alice, in the background; over TCP, so that what Bob says needs a connection of his own.
calls_bob() {
    : > alice.said
    timeout 40 "$phone" --credentials alice.cred --kms "$http" --listen 127.0.0.1:0 --proxy "$(tcp_of bob)" \
        "$@" sip:bob@example.com > alice.said 2> alice.error < /dev/null &
    pid_of[alice]=$!
    pids+=($!)
}

# --- a phone that quits ---------------------------------------------------------------------------------

for how in TERM INT HUP; do
    wait_for_calls bob --answer 0
    calls_bob --hang-up 20000
    says_soon alice '^answered:'
    kill "-$how" "${pid_of[bob]}"
    ended bob
    ended alice
    check "who is told to quit by SIG$how in a call hangs up first" said_by alice '^ended: by the other party$'
    check "and says so itself, after SIG$how" said_by bob '^ended: by us$'
done

mkfifo pressed
exec 5<> pressed
# bob_with_keys OPTIONS...: Bob's phone answers, and takes what is written to 5.
bob_with_keys() {
    : > bob.said
    "$phone" --credentials bob.cred --kms "$udp" --listen 127.0.0.1:0 --answer 0 "$@" > bob.said 2> bob.error < pressed &
    pid_of[bob]=$!
    pids+=($!)
    says_soon bob '^listening: tcp'
}
bob_with_keys
calls_bob --hang-up 20000
says_soon alice '^answered:'
call carol sip:bob@example.com --proxy "$(tcp_of bob)"
check 'who calls a phone that talks is told that it is busy' prints_on 5 '^ended: 486 Busy Here$'
check 'and the phone says who it was' said_by bob '^missed: sip:carol@example.com, it says: we are in a call$'
echo q >&5
ended bob
ended alice
check 'the key q hangs up too' said_by alice '^ended: by the other party$'

wait_for_calls bob
calls_bob --hang-up 20000 --repeat 3
says_soon alice '^progress: 183'
kill "${pid_of[alice]}"
ended alice
says_soon bob '^ended:'
check 'who calls and is told to quit takes the call back' said_by bob '^ended: given up by the caller$'
check 'and makes no other' [ "$(grep -c '^calling:' alice.said)" -eq 1 ]
kill "${pid_of[bob]}"
ended bob

# --- a KMS that is silent -------------------------------------------------------------------------------

# silent URL: a caller that is told to quit while it asks; how long that took, in seconds.
silent() {
    local begun
    : > alice.said
    "$phone" --credentials alice.cred --kms "$1" --timeout 30 --listen 127.0.0.1:0 sip:bob@example.com \
        > alice.said 2> alice.error < /dev/null &
    pid_of[alice]=$!
    pids+=($!)
    until [ -s asked ]; do sleep 0.01; done
    : > asked
    begun=$SECONDS
    kill "${pid_of[alice]}"
    ended alice
    took=$((SECONDS - begun))
}
python3 -c '
import select, socket
tcp = socket.socket()
tcp.bind(("127.0.0.1", 0))
tcp.listen(5)
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind(tcp.getsockname())
print(tcp.getsockname()[1], flush=True)
asked = []
while True:
    for s in select.select([tcp, udp], [], [])[0]:
        asked.append(s.accept() if s is tcp else s.recv(65535))
        print("yes", file=open("asked", "a"))' > silent.port &
pids+=($!)
: > asked
until [ -s silent.port ]; do sleep 0.01; done
for scheme in http udp; do
    silent "$scheme://127.0.0.1:$(cat silent.port)"
    check "who quits does not wait for a KMS that is silent over $scheme" [ "$took" -lt 5 ]
done

# --- the other party is gone ----------------------------------------------------------------------------

wait_for_calls bob --answer 0
calls_bob --gone-after 1500
says_soon alice '^answered:'
kill -KILL "${pid_of[bob]}"
wait "${pid_of[bob]}" 2> "$dir/ignored"
ended alice 5
check 'a call with somebody who is gone ends' said_by alice '^ended: nothing was heard of the other party for 1.5 seconds$'

bob_with_keys --once
calls_bob --gone-after 1500 --hang-up 4000
says_soon alice '^answered:'
echo o >&5
ended alice
ended bob
check 'a call on hold has no need of words' said_by alice '^held: by the other party$'
check 'and goes on' said_by alice '^ended: by us$'

phones_end
