#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# What a phone refuses: every row of the tables of the user's guide, which hold what is expected. Prints TAP.
# Usage: bad_input.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE GUIDE
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") guide=$(realpath "$5")
rig_begin "$1" "$2" "$3"
start_kms ''

sed -n '/^## What a phone refuses/,/^## /p' "$guide" | sed -n 's/^| \(.*\) |$/\1/p' | grep -v '^--- \|^what ' > rows
cut -d'|' -f1 rows | sed 's/ *$//' | sort > names
: > tried
# expect NAME: sets answer and words to the other columns of its row.
expect() {
    IFS='|' read -r _ answer words < <(grep -F "$1 | " rows)
    [ -n "$words" ] || words=$answer # two columns
    answer=${answer// /} words=$(sed 's/^ *//; s/ *$//' <<< "$words")
    echo "$1" >> tried
}

# --- offers -----------------------------------------------------------------------------------------

refused() {
    local status=${answer%%,*} warning=${answer#*,}
    head -n 1 "$dir/stdout" | grep -q "^$status " && grep -qF -- "$words" bob.said || return
    [ "$warning" = "$answer" ] || grep -q "^Warning: $warning " "$dir/stdout"
}
# offered NAME LINES...: the offer of that row.
offered() {
    local name=$1
    shift
    expect "$name"
    offer "$@"
    sleep 0.1
    check "$name" refused
    cat bob.said >> "$said"
}

wait_for_calls bob
message=$(good alice bob)
short=${message:0:200}
repeat() {
    local i
    for ((i = 0; i < $1; i++)); do echo "$2"; done
}
offered 'a call in the clear' 'm=audio 40000 RTP/AVP 0'
offered 'SRTP without a word about keys' "$savp"
offered 'keys for RTP in the clear' "$(line "$message")" 'm=audio 40000 RTP/AVP 0'
offered 'keys, and nothing to use them for' "$(line "$message")"
offered 'a line of MIKEY that is no base64' "$(line "${message/AQ4/AQ?}")" "$savp"
offered 'a good line behind a broken one' "$(line 'AQ4?')" "$(line "$message")" "$savp"
offered 'a line without a message' 'a=key-mgmt:mikey' "$savp"
offered 'a message that was cut' "$(line "$short")" "$savp"
TRANSPORT=tcp offered 'a message with octets left over' "$(line "AQ4A$(head -c 12000 /dev/zero | tr '\0' A)")" "$savp"
mapfile -t many < <(repeat 40 'a=key-mgmt:other AQ4A')
offered 'more lines than anybody needs' "${many[@]}" "$savp"
mapfile -t many < <(repeat 17 "$savp")
offered 'more m-lines than anybody needs' "$(line "$message")" "${many[@]}"
TRANSPORT=tcp offered 'a description that is too long' "$(line "$message")" "$savp" \
    "a=note:$(head -c 17000 /dev/zero | tr '\0' x)"
offered 'another protocol' 'a=key-mgmt:other AQ4A' "$savp"
offered 'a message that is no offer' "$(line "AQ8${message:3}")" "$savp"
offered 'a list of protocols that was cut down' "$(line "$(good alice bob 'mikey;other')")" "$savp"
offered 'two bundles of keys' "$savp" "$(line "$message")" "$savp" "$(line "$message")"
offered 'two m-lines and keys for one' "$(line "$message")" "$savp" 'm=video 40002 RTP/SAVP 96'
offered 'no audio' "$(line "$message")" 'm=video 40002 RTP/SAVP 96'
offered 'another codec' "$(line "$message")" 'm=audio 40000 RTP/SAVP 3'
offered 'audio without an address' "$(line "$message")" "$savp" 'c=IN IP4 0.0.0.0'
offered 'another profile' "$(line "$message")" 'm=audio 40000 RTP/SAVPF 0'
expect 'no description'
: > nothing
python3 "$tools/sip_offer.py" "$(at bob udp)" < nothing > "$dir/stdout" 2> "$dir/stderr"
check 'no description' refused
TYPE=text/plain offered 'something that is no description' "$(line "$message")" "$savp"
check 'who sends it is told what would be' grep -q '^Accept: application/sdp' "$dir/stdout"
offered 'a ticket for somebody else' --wait "$(line "$(good alice carol)")" "$savp"
offered 'the same INVITE on another branch' --twice "$(line "$(good alice bob)")" "$savp"
put_away bob
wait_for_calls bob --answer 0
message=$(good alice bob)
offer --then "$(line "$message")" "$savp"
says_soon bob '^ended: by the other party$'
offered 'the offer of a former call' "$(line "$message")" "$savp"
put_away bob

# --- answers ------------------------------------------------------------------------------------------

turned_down() { exits 5 && grep -qF -- "$words" "$dir/stdout" && said_by "$hand" '^got: BYE$'; }
hand=bob.tablet
# answered NAME EDITS... [-- OPTIONS of `mikey-ticket answer`]
answered() {
    local name=$1
    shift
    expect "$name"
    by_hand "$hand" --answer 0 "$@"
    call alice sip:bob@example.com --proxy "sip:$(at "$hand" tcp);transport=tcp" --hang-up 2000
    put_away "$hand"
    check "$name" turned_down
}
last_answer() { sed -n 's/^a=key-mgmt:mikey //p' bob.tablet.keys; }
key='^a=key-mgmt:mikey .*\n'
crypto='a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\n'

answered 'no description at all' --edit '(.|\n)*=>'
answered 'no keys' --edit "$key=>"
answered 'keys of SDES in their place' --edit "$key=>" --edit "\Z=>$crypto"
answered 'keys of SDES beside them' --edit "\Z=>$crypto"
answered 'the keys on another level' --edit "($key)(m=.*\n)=>\2\1"
answered 'the profile of RTP in the clear' --edit 'RTP/SAVP=>RTP/AVP'
answered 'another number of m-lines' --edit '\Z=>m=video 0 RTP/SAVP 96\n'
answered 'several lines of keys' --edit "($key)=>\1\1"
answered 'another protocol in their place' --edit 'key-mgmt:mikey=>key-mgmt:other'
answered 'a message with one octet changed' --edit '(mikey .{200}).=>\1A' --edit '(mikey .{203}).=>\1B'
before=$(last_answer)
answered 'the answer of another call' --edit "mikey .*=>mikey $before"
answered 'our own offer' --edit "mikey .*=>mikey $(good alice bob)"
answered 'nowhere to send to' --edit '127.0.0.1=>0.0.0.0'
hand=carol.tablet answered 'an Error message'

# --- the KMS ------------------------------------------------------------------------------------------

# slow_kms SECONDS: sets slow to its URL.
slow_kms() {
    mkfifo slow.port
    python3 "$tools/slow_kms.py" "$1" "${http##*:}" > slow.port 2> slow.error &
    pids+=($!)
    read -r _ slow < slow.port
    rm slow.port
    slow=http://127.0.0.1:$slow
}
told() { exits "$answer" && cat "$dir/stdout" "$dir/stderr" | grep -qF -- "$words"; }
# asked NAME CALLERS-KMS CALLEES-KMS OPTIONS of the caller...
asked() {
    local name=$1 http=$2 udp=$3
    shift 3
    expect "$name"
    wait_for_calls "${callee:-bob}" --answer 0 --once --timeout 3
    call "${caller:-alice}" sip:bob@example.com --proxy "sip:$(at "${callee:-bob}" tcp);transport=tcp" --hang-up 100 "$@"
    if [ "$code" = 6 ] || [ "$code" = 3 ]; then put_away bob; else ended "${callee:-bob}"; fi
    check "$name" told
}
gone=${closed/udp/http}
slow_kms 60
asked 'the KMS of the caller is not there' "$gone" "$http"
asked 'the KMS of the caller takes too long' "$slow" "$http" --timeout 1
"$kmsctl" --config kms.yaml user suspend sip:dave@example.com > "$dir/ignored" 2>&1
caller=dave asked 'the KMS of the caller says no' "$http" "$http"
asked 'the KMS of the callee is not there' "$http" "$gone"
asked 'the KMS of the callee takes too long' "$http" "$slow"
check 'its phone has said why' said_by bob '^ended: cannot reach the KMS'
check 'and so does that of the caller' grep -q '^warning: 399 .*cannot be reached' "$dir/stdout"
callee=carol asked 'the KMS of the callee says no' "$http" "$http"
slow_kms 1.5
asked 'the KMS of the callee is slow' "$http" "$slow"
check 'it has rung before' in_order bob '^ringing:' '^peer:'
check 'and was answered after' in_order bob '^peer:' '^answered:'

sort -u tried > tried.names
check 'every row of the tables was tried, and nothing else' diff names tried.names

phones_end
