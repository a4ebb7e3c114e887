#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# How a call stands: what the phone says when it is asked, and the screen of a terminal (tmux). Prints TAP.
# Usage: status.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5")
rig_begin "$1" "$2" "$3"
start_kms ''
mulaw "$speech" alice.wav
proxy() { echo "sip:$(at bob tcp);transport=tcp"; }

# --- when it is asked -----------------------------------------------------------------------------------

asked() {
    timeout 40 "$phone" --credentials alice.cred --kms "$http" --listen 127.0.0.1:0 "$@" --proxy "$(proxy)" --hang-up 2500 \
        sip:bob@example.com < <(sleep 0.05; echo s; sleep 2; echo s; sleep 2) > "$dir/stdout" 2> "$dir/stderr"
    code=$?
    cat "$dir/stdout" "$dir/stderr" >> "$said"
}
tells() { prints "^status: $1  *$2"; }
wait_for_calls bob --answer 300 --once
asked --rekey 10m
ended bob
check 'who asks before the answer is told that there is none' tells call 'not answered yet$'
check 'later how long it is' tells call '0:0[12]$'
check 'who answered' tells peer 'sip:bob@example.com$'
check 'who vouches for it' tells 'vouched by' 'sip:kms@example.com$'
check 'whom it called' tells called 'sip:bob@example.com$'
check 'the suite' tells suite 'AES_256_CM_HMAC_SHA1_80$'
check 'when it rekeys' tells rekey 'in 9 min 5[0-9] s at the latest$'
check 'how long the ticket lives' tells ticket 'valid until 20'
check 'what the ticket says of forking, in words' tells forking 'each Responder that resolves the ticket gets keys of its own'
check 'and of keys' tells session-keys 'those in the ticket, or supplied by either end'
check 'and the packets until now' tells packets '[1-9][0-9]* sent, [1-9][0-9]* heard, 0 lost, 0 refused$'

wait_for_calls bob --answer 300 --once --keying sdes
asked --keying sdes
ended bob
check 'of a call by SDES it says what it is worth' tells keying 'SDES: whoever has seen the signalling can listen$'
check 'that nobody is vouched for' tells 'vouched by' 'nobody$'
check 'and the suite' tells suite 'AEAD_AES_256_GCM$'

# --- the screen -----------------------------------------------------------------------------------------

call alice sip:bob@example.com --screen
check 'where there is no terminal there is no screen' exits_saying 2 'no terminal'

screen() { tmux -L "$tmux_name" -f /dev/null "$@" 2> "$dir/stderr"; }
picture() { screen capture-pane -p -t phone > "$dir/stdout"; }
# shows PATTERN: within ten seconds.
shows() {
    local i
    for ((i = 0; i < 100; i++)); do
        picture && grep -q "$1" "$dir/stdout" && return
        sleep 0.1
    done
    return 1
}
drawn_once() { [ "$(grep -c '^packets ' "$dir/stdout")" -eq 1 ] && head -n 1 "$dir/stdout" | grep -q '^call '; }
# Within ten seconds the first line is that of the call, and its time goes on.
first_is_call() {
    local i before
    for ((i = 0; i < 100; i++)); do
        picture
        case $(head -n 1 "$dir/stdout") in
        call*)
            before=${before:-$(head -n 1 "$dir/stdout")}
            [ "$(head -n 1 "$dir/stdout")" = "$before" ] || return 0
            ;;
        *) before='' ;;
        esac
        sleep 0.1
    done
    return 1
}
goes_on() {
    local before
    picture && before=$(grep '^packets ' "$dir/stdout")
    sleep 1.2
    picture && [ "$before" != "$(grep '^packets ' "$dir/stdout")" ]
}
if command -v tmux > "$dir/ignored"; then
    code=0
    tmux_name=mikey.$$
    screen new-session -d -s phone -x 80 -y 24 "$phone --credentials alice.cred --kms $http --listen 127.0.0.1:0 --screen"
    check 'on a terminal the screen of a phone that waits shows where' shows '^listening: tcp 127.0.0.1:'
    screen kill-server
    wait_for_calls bob --answer 300 --once
    screen new-session -d -s phone -x 80 -y 24 "$phone --credentials alice.cred --kms $http --listen 127.0.0.1:0 \
        --proxy '$(proxy)' --rekey 1h --screen sip:bob@example.com; sleep 5"
    check 'on a terminal the screen shows who answers' shows '^peer  *sip:bob@example.com'
    check 'the packets' shows '^packets  *[1-9]'
    check 'when it rekeys' shows '^rekey  *in 59 min'
    check 'what has happened' shows '^answered: sip:bob@example.com'
    check 'all of it once' drawn_once
    check 'and it is drawn again' goes_on
    check 'and says that keys need Enter' shows 'q quits.*Enter'
    screen resize-window -t phone -x 40 -y 24
    check 'a narrow one shows what was refused' shows '^  .* refused$'
    check 'below how long the call is' first_is_call
    check 'and all keys, in two lines' shows 'q quits'
    screen resize-window -t phone -x 20 -y 10
    check 'a small one begins with the call, too' first_is_call
    check 'and has who it is' shows '^sip:bob@example.com$'
    screen resize-window -t phone -x 80 -y 24
    screen send-keys -t phone o Enter
    check 'a key works' shows '^call .*held by us'
    screen send-keys -t phone h Enter
    check 'until the end' shows '^ended: by us'
    screen kill-server
    ended bob
else
    count=$((count + 1))
    echo "ok $count - on a terminal the screen shows who answers # SKIP no tmux"
fi

phones_end
