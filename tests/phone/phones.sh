# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # for the scenarios that read this file
# What scenarios with phones share, on top of rig.sh: phones that wait, and what a network sees.

. "$(dirname "${BASH_SOURCE[0]}")/own_network.sh"

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
declare -A pid_of

mulaw() { python3 "$tools/speech.py" mulaw "$@"; }
same_speech() { python3 "$tools/speech.py" same "$1" "$2" > "$dir/stderr" 2>&1; }
holds_speech() { python3 "$tools/speech.py" holds "$@" > "$dir/stderr" 2>&1; }
shares_speech() { python3 "$tools/speech.py" shares "$1" "$2" > "$dir/stderr" 2>&1; }
part_of_speech() { python3 "$tools/speech.py" part "$1" "$2" > "$dir/stderr" 2>&1; }
begins_with() { python3 "$tools/speech.py" begins "$1" "$2" > "$dir/stderr" 2>&1; }

# wait_for_calls NAME OPTIONS...: a phone that waits on a port of its own; NAME may be USER.DEVICE.
wait_for_calls() {
    local name=$1 i
    shift
    : > "$name.said"
    "$phone" --credentials "${name%%.*}.cred" --kms "$udp" --listen 127.0.0.1:0 "$@" \
        > "$name.said" 2> "$name.error" < /dev/null &
    pids+=($!)
    pid_of[$name]=$!
    for ((i = 0; i < 500; i++)); do
        grep -q "^listening: ${listens:-tcp}" "$name.said" && return
        sleep 0.01
    done
    bail "the phone of $name does not listen" "$name.error"
}

# by_hand NAME OPTIONS... [-- ANSWER-OPTIONS...]: a phone that does what it is told (sip_phone.py) and has its
# keys from `mikey-ticket answer`, in NAME.session.
by_hand() {
    local name=$1 i options=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    : > "$name.said"
    python3 "$tools/sip_phone.py" --offer "$name.offer" --keys "$name.keys" "${options[@]}" "$ticket" answer \
        --credentials "${name%%.*}.cred" --kms "$udp" --offer "$name.offer" --out "$name.keys" --sdp \
        --session "$name.session" "${@:2}" > "$name.said" 2> "$name.error" < /dev/null &
    pids+=($!)
    pid_of[$name]=$!
    says_soon "$name" '^listening: tcp'
}
# says_soon NAME PATTERN: waits until a phone has said it.
says_soon() {
    local i
    for ((i = 0; i < 1000; i++)); do
        grep -q "$2" "$1.said" && return
        sleep 0.01
    done
    bail "$1 does not say $2" "$1.error"
}
put_away() {
    kill "${pid_of[$1]}"
    wait "${pid_of[$1]}" 2> "$dir/ignored"
}

# at NAME TRANSPORT: where it listens.
at() { sed -n "s/^listening: $2 //p" "$1.said"; }

# call NAME URI OPTIONS...: the whole call; output as of `run`.
call() {
    local name=$1 uri=$2
    shift 2
    timeout 40 "$phone" --credentials "$name.cred" --kms "$http" --listen 127.0.0.1:0 "$@" "$uri" \
        > "$dir/stdout" 2> "$dir/stderr" < /dev/null
    code=$?
    cat "$dir/stdout" "$dir/stderr" >> "$said"
}

# ended NAME [CODE]: waits for a phone that ends after its call; not for ever, if there was none. CODE, if
# it is to end badly, is good here and no other.
ended() {
    local i
    for ((i = 0; i < 1000; i++)); do
        kill -0 "${pid_of[$1]}" 2> "$dir/ignored" || break
        sleep 0.01
    done
    kill "${pid_of[$1]}" 2> "$dir/ignored"
    wait "${pid_of[$1]}"
    echo "$1 $?" | sed "s/ ${2:-0}\$/ 0/" >> phones.ended
    cat "$1.said" "$1.error" >> "$said"
}
# phones_end: none of them has crashed, found a fault in its memory, or said a key of its owner.
phones_end() {
    check 'every phone ended in good order' nothing_odd
    check 'and none has said a key' no_key_said
    rig_end
}
nothing_odd() { ! grep -vE ' [0356]$' phones.ended && ! grep -E 'Sanitizer|runtime error' ./*.error; }
no_key_said() {
    sed -n 's/^psk: "\(.*\)"$/\1/p' ./*.cred > keys
    [ -s keys ] && ! grep -qFf keys "$said"
}

prints_on() { [ "$code" -eq "$1" ] && grep -q "$2" "$dir/stdout"; }
# Silence, if anything.
heard_nothing() { grep -q '^media: [0-9]* sent, 0 heard' "$1.said" || never_said "$1" '^media:'; }
never_said() { ! grep -q "$2" "$1.said"; }
said_by() { grep -q "$2" "$1.said"; }
# in_order NAME FIRST SECOND: both were said, in that order.
in_order() {
    local first second
    first=$(grep -n "$2" "$1.said" | head -n 1)
    second=$(grep -n "$3" "$1.said" | head -n 1)
    [ -n "$first" ] && [ -n "$second" ] && [ "${first%%:*}" -lt "${second%%:*}" ]
}

# middle ARGS...: sets middle to the URI of what stands between (sip_middle.py).
middle() {
    mkfifo middle.port
    python3 "$tools/sip_middle.py" "$@" > middle.port 2> middle.error &
    pids+=($!)
    read -r _ middle < middle.port
    rm middle.port
    middle="sip:127.0.0.1:$middle"
}

# --- offers by hand ---------------------------------------------------------------------------------

sdp() { printf '%s\r\n' v=0 'o=- 1 1 IN IP4 127.0.0.1' s=- 'c=IN IP4 127.0.0.1' 't=0 0' "$@"; }
# offer LINES...: an INVITE to Bob with these lines of SDP; what came back is the output.
offer() {
    local flag=()
    case $1 in --*)
        flag=("$1")
        shift
        ;;
    esac
    sdp "$@" | python3 "$tools/sip_offer.py" "$(at bob "${TRANSPORT:-udp}")" "${flag[@]}" > "$dir/stdout" 2> "$dir/stderr"
    code=$?
}
savp='m=audio 40000 RTP/SAVP 0'
line() { echo "a=key-mgmt:mikey $1"; }
# A good message, as SDP carries it.
good() {
    run request --credentials "$1.cred" --kms "$udp" --to "sip:$2@example.com" --out t.mkt
    run offer --credentials "$1.cred" --ticket t.mkt --to "sip:$2@example.com" --out o.sdp --state o.state \
        --sdp --sdp-ids "${3:-mikey}"
    sed -n 's/^a=key-mgmt:mikey //p' o.sdp
    rm -f t.mkt o.sdp o.state
}

# --- what a network sees --------------------------------------------------------------------------

capture_pid=''
capture_begin() {
    capture_pid=''
    command -v dumpcap > "$dir/ignored" || return 0
    dumpcap -q -i lo -f 'ip host 127.0.0.1' -w "$1.pcapng" > dumpcap.said 2>&1 &
    capture_pid=$!
    pids+=($!)
    for ((i = 0; i < 200; i++)); do
        [ -s "$1.pcapng" ] && return
        kill -0 "$capture_pid" 2> "$dir/ignored" || break
        sleep 0.02
    done
    capture_pid=''
}
capture_end() {
    [ -n "$capture_pid" ] || return 0
    sleep 0.3
    kill -INT "$capture_pid"
    wait "$capture_pid"
}
# check_capture NAME COMMAND...: a check, left out where nothing may be captured.
check_capture() {
    if [ -n "$capture_pid" ]; then
        check "$@"
        return
    fi
    count=$((count + 1))
    echo "ok $count - $1 # SKIP no right to capture: $(tail -n 1 dumpcap.said 2> "$dir/ignored")"
}
sees_only_srtp() {
    local capture=$1
    shift
    python3 "$tools/capture.py" "$capture.pcapng" "$@" > "$dir/stderr" 2>&1
}
# sees_messages CAPTURE TYPE N: exactly N different ones.
sees_messages() { python3 "$tools/messages.py" "$1.pcapng" "$2" "$3" > "$dir/stderr" 2>&1; }
# opens CAPTURE SESSION WHAT: the media of the caller, given to somebody with the keys of SESSION: opens
# all or none of it.
opens() {
    local n opened=0 result
    python3 "$tools/replay.py" "$1.pcapng" "$(ssrc_of "$2")" "$media" receive --session "$2" --cs 1 --audio never.wav \
        > "$dir/stdout" 2> "$dir/stderr"
    read -r n result < "$dir/stdout"
    [ "$3" = none ] || opened=$n
    [ "$n" -ge 100 ] && [[ "$result" == "packets=$n opened=$opened refused=$((n - opened)) "* ]]
}
opens_nothing() { opens "$1" "$2" none; }
opens_all() { opens "$1" "$2" all; }
# The SSRC of what the caller sends.
ssrc_of() { sed -n 's/^ *ssrc: *//p' "$1" | head -n 1; }

# --- the proxy ------------------------------------------------------------------------------------

# start_proxy OPTIONS...: Kamailio on a free port, UDP and TCP; sets proxy_port.
start_proxy() {
    local modules i
    modules=$(dirname "$(find /usr/lib -name registrar.so -path '*kamailio*' -print -quit)")/
    proxy_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    sed "s|PORT|$proxy_port|; s|MODULES|$modules|; s|DIR|$dir|" "$tools/kamailio.cfg" > kamailio.cfg
    kamailio -DD -E "$@" -P "$dir/kamailio.$proxy_port" -Y "$dir" -f kamailio.cfg > kamailio.said 2>&1 &
    pids+=($!)
    for ((i = 0; i < 500; i++)); do
        (exec 3<> "/dev/tcp/127.0.0.1/$proxy_port") 2> "$dir/ignored" && return
        sleep 0.01
    done
    bail 'the proxy does not start' kamailio.said
}
through() { echo "sip:127.0.0.1:$proxy_port;transport=$1"; }

# registered NAME: waits until the registrar knows it.
registered() { says_soon "$1" '^registered:'; }
