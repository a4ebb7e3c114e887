#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh
# Ticket Types beside the MIKEY base ticket, from the command line: reference tickets, revoked while the
# daemon runs, and compatibility tickets for a responder that knows RFC 3830 only (RFC 6043 11, B.1).
# Prints TAP. Usage: scenario_types.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL RFC3830_ANSWER
set -u
. "$(dirname "$0")/rig.sh"
old_peer=$(realpath "$4")
rig_begin "$1" "$2" "$3"
psk=000102030405060708090a0b0c0d0e0f
before_kms() {
    printf '%s\n' $psk | "$kmsctl" --config kms.yaml tpk add sip:door@example.com --tpk-id door \
        --tpk-hex - > made 2>&1 || bail 'no key of the door' made
}
start_kms 'ticket_types: [base, reference, compat]'

request() { # OUT OPTIONS...
    local out=$1
    shift
    run request --credentials alice.cred --kms "$http" --out "$out" "$@"
}
ctl() {
    "$kmsctl" --config kms.yaml "$@" > "$dir/stdout" 2> "$dir/stderr"
    code=$?
    cat "$dir/stdout" "$dir/stderr" >> "$said"
}
reference_of() { # FILE: of the ticket in an offer
    "$ticket" decode --json "$1" | sed -n 's/.*"payload":"THDR".*"data_hex":"\([0-9a-f]\{32\}\)".*/\1/p'
}

# --- reference tickets ------------------------------------------------------------------------------

request ref.mkt --to sip:bob@example.com --ticket-type reference
check 'a reference ticket is granted' exits 0
check 'and named' prints '^ticket-type: reference$'
run offer --credentials alice.cred --ticket ref.mkt --to sip:bob@example.com --out offer.mikey --state offer.state
check 'it is offered like any other' exits 0
run answer --credentials bob.cred --kms "$http" --offer offer.mikey --out answer.mikey --session bob.session
check 'and resolved' exits 0
run complete --credentials alice.cred --state offer.state --answer answer.mikey --session alice.session
check 'both ends have the same keys' same_keys alice.session bob.session
reference=$(reference_of offer.mikey)
check 'decode shows its name' test "${#reference}" -eq 32
run decode offer.mikey
check 'in words, too' prints 'Ticket Data, THDR names the keys'
ctl ticket kept
check 'under which the KMS has it' prints "^$reference "
ctl ticket revoke "$reference"
check 'it is revoked' prints 'nobody can resolve it any more'
run answer --credentials bob.cred --kms "$http" --offer offer.mikey --out error.mikey --session never
check 'at once, and the reason is said' exits_saying 3 'Invalid TICKET (error 14)'
check 'there are no keys' absent never
ctl ticket kept
check 'the KMS has none left' prints 'No reference tickets'

# --- compatibility tickets --------------------------------------------------------------------------

for ids in compat:2 compat-no-ids:0; do
    type=${ids%:*}
    request door.mkt --to sip:door@example.com --ticket-type "$type"
    check "a ticket of type $type is granted" prints "^ticket-type: $type\$"
    run compat --ticket door.mkt --out door.mikey --session door.session
    check 'the message is taken out of it' prints '^to: sip:door@example.com$'
    check 'the keys are for their owner only' mode_is 600 door.session
    run decode door.mikey
    check 'it is a message of RFC 3830' prints 'data type: 0 PSK_INIT'
    "$old_peer" door.mikey $psk > opened 2> "$dir/stderr"
    check 'one who knows RFC 3830 only opens it' grep -qx "ids: ${ids#*:}" opened
    check 'and has the same keys' diff <(grep -E ' (key|salt):' opened) \
        <("$ticket" keys --session door.session --show-keys | grep -E ' (key|salt):')
    check 'and not without the key' bash -c "! '$old_peer' door.mikey ${psk/00/01} 2> ignored"
done
run compat --ticket door.mkt --out door.sdp --session door.session --sdp
check 'it goes into SDP' grep -q '^a=key-mgmt:mikey AQAF' door.sdp
check 'and is opened from there' bash -c "'$old_peer' door.sdp $psk > opened"
run keys --session door.session
check 'nobody vouches for who took it' prints '^peer-vouched: no$'
check 'the suite is that of RFC 3830' prints 'AES_CM_128_HMAC_SHA1_80'
request salted.mkt --to sip:door@example.com --ticket-type compat --key TGK+SALT
run compat --ticket salted.mkt --out salted.mikey --session salted.session
"$old_peer" salted.mikey $psk > opened 2> "$dir/stderr"
check 'a salt of its own is used' diff <(grep -E ' (key|salt):' opened) \
    <("$ticket" keys --session salted.session --show-keys | grep -E ' (key|salt):')

run offer --credentials alice.cred --ticket door.mkt --to sip:door@example.com --out never --state never
check 'such a ticket is not offered' exits 1
request base.mkt --to sip:bob@example.com
run compat --ticket base.mkt --out never --session never
check 'no other ticket has such a message' exits_saying 2 'not a compatibility ticket'
request never --to sip:bob@example.com --ticket-type compat
check 'without a key of the responder there is none' exits_saying 3 'Invalid TPpar (error 15)'
request never --to sip:door@example.com --ticket-type compat --flags DEFGHINO
check 'its flags are no choice' exits_saying 2 'has the flags D and H and no others'
request never --to sip:door@example.com --to sip:bob@example.com --ticket-type compat
check 'it is for one' exits_saying 2 'exactly one --to'
request never --to sip:door@example.com --ticket-type compat --suite 256
check 'RFC 3830 has one suite' exits_saying 2 'the 128-bit suite only'
request never --to sip:bob@example.com --ticket-type paper
check 'a type is one of four' exits_saying 2 'expected base, reference, compat or compat-no-ids'
check 'none of these wrote a file' absent never

# --- where they are not made ------------------------------------------------------------------------

sed -i 's/^ticket_types:.*//' kms.yaml
kill "${pids[0]}"
wait "${pids[0]}"
pids=()
"$kmsd" --config kms.yaml > ready.txt 2> kms.log &
pids+=($!)
for _ in $(seq 100); do
    grep -q '^ready' ready.txt && break
    sleep 0.1
done
http=$(sed -n 's/^listening \(http.*\)/\1/p' ready.txt)
for type in reference compat; do
    to=sip:door@example.com
    request never --to $to --ticket-type $type
    check "$type is refused where it is not configured" exits_saying 3 'Invalid TICKET (error 14)'
done
request base.mkt --to sip:bob@example.com --ticket-type base
check 'a base ticket is made' exits 0
check 'and nothing else' absent never

# --- secrets ----------------------------------------------------------------------------------------

{
    echo $psk
    for s in ./*.session; do "$ticket" keys --session "$s" --show-keys | sed -n 's/^ *\(key\|salt\): //p'; done
} > secrets
check 'there are secrets to look for' test "$(wc -l < secrets)" -ge 9
check 'no command printed one' bash -c "! grep -qFf '$dir/secrets' '$said'"
rig_end
