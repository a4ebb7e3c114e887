#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# What comes later in a call, from either side: hold, new keys, offers with several m-lines. Prints TAP.
# Usage: later.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH MIKEY_DEMO_MEDIA
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5") media=$(realpath "$6")
rig_begin "$1" "$2" "$3"
start_kms ''
mulaw "$speech" alice.wav
mulaw --backwards "$speech" bob.wav
says() { [ "$(grep -c "$1" "$dir/stdout")" -eq "$2" ]; }
said_times() { [ "$(grep -c "$2" "$1.said")" -eq "$3" ]; }
all_said() { python3 "$tools/speech.py" all "$1" "$2" > "$dir/stderr" 2>&1; }
pauses() { python3 "$tools/speech.py" pauses "$1" > "$dir/stderr" 2>&1; }
# pressed KEY SECONDS...: keys that somebody presses, each so many seconds after the one before.
pressed() {
    while [ $# -gt 1 ]; do
        sleep "$2"
        echo "$1"
        shift 2
    done
    sleep "$1"
}
# bob_with KEYS... -- OPTIONS...: Bob's phone, and who presses its keys. A call of 8 seconds begins at once.
bob_with() {
    local keys=()
    while [ "$1" != -- ]; do
        keys+=("$1")
        shift
    done
    shift
    mkfifo bob.keys
    : > bob.said
    "$phone" --credentials bob.cred --kms "$udp" --listen 127.0.0.1:0 --once --answer 0 "$@" > bob.said 2> bob.error < bob.keys &
    pid_of[bob]=$!
    pids+=($!)
    exec 4> bob.keys
    rm bob.keys
    says_soon bob '^listening: tcp'
    (
        says_soon bob '^answered:'
        pressed "${keys[@]}"
    ) >&4 &
    pids+=($!)
    exec 4>&-
}
call_with() {
    local keys=()
    while [ "$1" != -- ]; do
        keys+=("$1")
        shift
    done
    shift
    timeout 40 "$phone" --credentials alice.cred --kms "$http" --listen 127.0.0.1:0 "$@" --proxy "$proxy" sip:bob@example.com \
        < <(pressed "${keys[@]}") > "$dir/stdout" 2> "$dir/stderr"
    code=$?
    cat "$dir/stdout" "$dir/stderr" >> "$said"
}
tcp_of_bob() { proxy="sip:$(at bob tcp);transport=tcp"; }
nothing_lost='^media: [0-9]* sent, [0-9]* heard, [0-9]* lost, 0 refused$'

# --- hold ---------------------------------------------------------------------------------------------

for keying in required sdes; do
    wait_for_calls bob --keying $keying --answer 0 --once --play bob.wav --record hold.bob.wav
    tcp_of_bob
    call_with o 2 o 2 5 -- --keying $keying --play alice.wav --hang-up played --record hold.alice.wav
    ended bob
    check "a caller holds a call and goes on with it ($keying)" says '^\(held\|resumed\): by us$' 2
    check 'the callee is told' said_times bob '^\(held\|resumed\): by the other party$' 2
    check 'nothing is said meanwhile, and nothing refused' grep -q "$nothing_lost" "$dir/stdout"
    check 'at either end' said_by bob "$nothing_lost"
    check 'what was said before and after is all there' all_said alice.wav hold.bob.wav
    check 'with a pause between' pauses hold.bob.wav

    bob_with o 1 o 2 5 -- --keying $keying --play bob.wav --record hold.bob.wav
    tcp_of_bob
    call_with 9 -- --keying $keying --play alice.wav --hang-up played --record hold.alice.wav
    ended bob
    check "so does a callee ($keying)" said_times bob '^\(held\|resumed\): by us$' 2
    check 'the caller is told' says '^\(held\|resumed\): by the other party$' 2
    check 'and nothing is refused' grep -q "$nothing_lost" "$dir/stdout"
    check 'at either end' said_by bob "$nothing_lost"
    check 'what the caller said is all there' all_said alice.wav hold.bob.wav
    check 'with a pause between' pauses hold.bob.wav
done

# --- new keys ---------------------------------------------------------------------------------------------

bob_with k 1 k 1 5 -- --play bob.wav --record keys.bob.wav
tcp_of_bob
call_with k 4 5 -- --play alice.wav --hang-up played --record keys.alice.wav
ended bob
check 'a callee brings new keys' said_times bob '^rekeyed: by us$' 2
check 'which the caller takes' says '^rekeyed: by the other party$' 2
check 'and the caller does too, after that' says '^rekeyed: by us$' 1
check 'which the callee takes' said_times bob '^rekeyed: by the other party$' 1
check 'not a packet is lost or refused' prints '^media: [0-9]* sent, [0-9]* heard, 0 lost, 0 refused$'
check 'at either end' said_by bob '^media: [0-9]* sent, [0-9]* heard, 0 lost, 0 refused$'
check 'speech arrives bit by bit' same_speech alice.wav keys.bob.wav
check 'and the other way' begins_with bob.wav keys.alice.wav

bob_with k 1 5 --
tcp_of_bob
call_with k 1 o 0 k 0 5 -- --hang-up 4000
ended bob
check 'offers that cross end no call' exits 0
check 'and nothing is refused' grep -q "$nothing_lost" "$dir/stdout"

# --- offers of the callee that are not what was agreed ---------------------------------------------------

again() {
    by_hand bob.tablet --answer 0 --then later.sdp
    proxy="sip:$(at bob.tablet udp)"
    call_with 3 -- --hang-up 1500
    put_away bob.tablet
}
sdp "$savp" a=inactive > later.sdp
again
check 'a later offer of a callee without a word about keys is taken' said_by bob.tablet '^answer: 200$'
check 'its answer has none either' never_said bob.tablet 'with: a=key-mgmt'
check 'and is that of who may not speak' said_by bob.tablet 'with: a=inactive'
check 'and the call is held' prints '^held: by the other party$'
sdp 'm=audio 40000 RTP/AVP 0' > later.sdp
again
check 'one that leads to the clear is refused' said_by bob.tablet '^answer: 488$'
check 'and the call goes on' prints '^ended: by us$'
sdp "$(line "$(good bob alice)")" "$savp" > later.sdp
again
check 'so is one with another ticket' said_by bob.tablet '^answer: 488$'
check 'with the warning that RFC 4567 asks for' said_by bob.tablet 'with: Warning: 306'

# --- several m-lines -------------------------------------------------------------------------------------

# ssrc_of_session FILE CS: of what is said in that crypto session.
ssrc_of_session() { "$ticket" keys --session "$1" | sed -n "/cs-id: $2\$/,/ssrc:/s/^ *ssrc: *//p"; }
# replayed CS: what somebody with the key of that crypto session opens of what Bob says.
replayed() {
    python3 "$tools/replay.py" two.pcapng "$(ssrc_of_session two.session 4)" "$media" receive --session two.session \
        --cs "$1" --audio never.wav > "$dir/stdout" 2> "$dir/stderr"
    grep -q '^[1-9][0-9][0-9]* packets=[1-9]' "$dir/stdout"
}
opens_session() { replayed "$1" && grep -q ' opened=[1-9][0-9][0-9] ' "$dir/stdout"; }
opens_no_session() { replayed "$1" && grep -q ' opened=0 refused=[1-9]' "$dir/stdout"; }
wait_for_calls bob --answer 0 --once --play bob.wav
run request --credentials alice.cred --kms "$udp" --to sip:bob@example.com --out t.mkt
run offer --credentials alice.cred --ticket t.mkt --to sip:bob@example.com --out two.sdp --state two.state --sessions 4 \
    --sdp --sdp-ids mikey
video='m=video 40002 RTP/SAVP 96'
capture_begin two
sdp "$(sed -n 's/\r$//; /^a=key-mgmt/p' two.sdp)" "$video" 'a=rtpmap:96 VP8/90000' 'm=audio 40000 RTP/SAVP 0' |
    TALK=3 ANSWER=two.answer python3 "$tools/sip_offer.py" "$(at bob udp)" --then > "$dir/stdout" 2> "$dir/stderr"
code=$?
capture_end
ended bob
check 'of an offer with video and audio the audio is taken' prints '^200 OK$'
check 'and the video not' grep -q '^m=video 0 ' two.answer
run complete --credentials alice.cred --state two.state --answer two.answer --session two.session
check 'its keys are those of the whole offer' exits 0
check_capture 'what is said has the key of the second m-line' opens_session 4
check_capture 'and not that of the first' opens_no_session 2

phones_end
