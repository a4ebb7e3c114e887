#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2154,SC2317 # checks and variables of rig.sh
# GStreamer with the lines that `mikey-ticket keys --gst` prints: it opens what we protect and protects what
# we open, in every suite, and nothing goes through under another key. Prints TAP.
# Usage: scenario_gst.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL DEMO_MEDIA SPEECH
set -u
. "$(dirname "$0")/rig.sh"
media=$(realpath "$4") speech=$(realpath "$5")
for element in srtpenc srtpdec udpsrc rtpL16pay wavparse wavenc; do
    gst-inspect-1.0 "$element" > /dev/null 2>&1 || { echo "1..0 # SKIP no $element of GStreamer here"; exit 0; }
done
rig_begin "$1" "$2" "$3"
start_kms ''
samples=$((($(wc -c < "$speech") - 44) / 2))
packets=$(((samples + 159) / 160))

# session SUITE LEVEL: Alice calls Bob; alice.session and bob.session have the keys.
session() {
    rm -f ./*.session
    run request --credentials alice.cred --kms "$udp" --suite "$2" --to sip:bob@example.com --out t.mkt
    run offer --credentials alice.cred --ticket t.mkt --to sip:bob@example.com --srtp "$1" --out o.mikey --state o.state
    run answer --credentials bob.cred --kms "$udp" --offer o.mikey --out a.mikey --session bob.session --srtp "$1"
    run complete --credentials alice.cred --state o.state --answer a.mikey --session alice.session
}
# line SESSION CS WHAT: gst-send or gst-receive of a crypto session.
line() {
    "$ticket" keys --session "$1" --show-keys --gst |
        awk -v cs="$2" -v what="$3:" '$2 == "cs-id:" || $1 == "cs-id:" { now = $NF } now == cs && $1 == what { sub(/^[^:]*: */, ""); print }'
}
# other_key LINE: the same with another key.
other_key() { sed -E 's/(key=(\(buffer\))?)(....)/\1dead/' <<< "$1"; }

free_port() { python3 -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
listens() {
    local i hex
    hex=$(printf ':%04X' "$1")
    for ((i = 0; i < 1000; i++)); do
        grep -q "$hex 00000000:0000" /proc/net/udp && return
        sleep 0.01
    done
    return 1
}
gst() { eval "timeout 60 gst-launch-1.0 -q $*" > "$dir/stdout" 2> "$dir/stderr"; }
rtp='application/x-rtp,media=audio,clock-rate=8000,encoding-name=L16,channels=1,payload=96'

# gst_hears LINE CS: Alice sends CS with libsrtp2 as we use it; what GStreamer makes of it is heard.wav.
gst_hears() {
    local port pid
    port=$(free_port)
    rm -f heard.wav
    gst "udpsrc address=127.0.0.1 port=$port num-buffers=$packets ! $1 ! $rtp ! rtpL16depay ! audioconvert" \
        "! audio/x-raw,format=S16LE ! wavenc ! filesink location=heard.wav" &
    pid=$!
    listens "$port" && "$media" send --session alice.session --cs "$2" --audio "$speech" --to "$port" > sent 2>&1
    wait "$pid"
    code=$?
}
# we_hear LINE CS SEQ: GStreamer sends in the place of Alice, Bob receives CS with our session file.
we_hear() {
    local at
    rm -f heard.wav told
    mkfifo told
    "$media" receive --session bob.session --cs "$2" --audio heard.wav > told 2> "$dir/ignored" &
    exec 3< told
    read -r _ at <&3
    gst "filesrc location='$speech' ! wavparse ! audioconvert ! rtpL16pay pt=96 min-ptime=20000000 max-ptime=20000000" \
        "seqnum-offset=$3 ! $1 ! identity sleep-time=500 ! udpsink host=127.0.0.1 port=$at sync=false"
    code=$?
    read -r result <&3
    exec 3<&-
    wait "$!"
    echo "$result" >> "$dir/stdout"
}
pcm() { tail -c +45 "$1" | head -c "$((2 * samples))"; }
same_speech() { [ "$code" -eq 0 ] && [ -s heard.wav ] && cmp -s <(pcm "$speech") <(pcm heard.wav); }
# GStreamer has had all packets and made no sample of them; we have counted them.
silence() { [ "$code" -eq 0 ] && [ -e heard.wav ] && [ "$(wc -c < heard.wav)" -le 100 ]; }
all_refused() { [ "$code" -eq 0 ] && [[ $result == "packets=$packets opened=0 refused=$packets "* ]]; }
first_seq() { "$ticket" keys --session "$1" | awk -v cs="$2" '/cs-id:/ { now = $NF } /^ *seq:/ && now == cs { print $2 }'; }

while read -r suite level; do
    session "$suite" "$level"
    cs=1
    receive=$(line bob.session $cs gst-receive) send=$(line alice.session $cs gst-send)
    gst_hears "$receive" $cs
    check "$suite: GStreamer opens what we protect" same_speech
    gst_hears "$(other_key "$receive")" $cs
    check "$suite: and nothing under another key" silence
    we_hear "$send" $cs "$(first_seq bob.session $cs)"
    check "$suite: we open what GStreamer protects" same_speech
    we_hear "$(other_key "$send")" $cs "$(first_seq bob.session $cs)"
    check "$suite: and nothing under another key of its" all_refused
done << EOF
AES_CM_128_HMAC_SHA1_80 128
AES_CM_128_HMAC_SHA1_32 128
AES_256_CM_HMAC_SHA1_80 256
AES_256_CM_HMAC_SHA1_32 256
AEAD_AES_128_GCM 128
AEAD_AES_256_GCM 256
EOF

run keys --session bob.session --gst
check 'no key is printed that was not asked for' exits_saying 2 'nothing prints them without --show-keys'
check 'not even in part' [ ! -s "$dir/stdout" ]
run keys --session bob.session --gst --show-keys --json
check 'the lines are there as JSON, too' is_json
check 'under names of their own' prints '"gst_receive": "'
rig_end
