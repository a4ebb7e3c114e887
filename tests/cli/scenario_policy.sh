#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2154,SC2317 # checks and variables of rig.sh
# What a Ticket Policy may say, from the command line: who, for which application, from when, until
# when, which keys (RFC 6043 6.10); tickets made beforehand; modes that are not served (4.1.1).
# Prints TAP. Usage: scenario_policy.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL
set -u
. "$(dirname "$0")/rig.sh"
rig_begin "$1" "$2" "$3"
before_kms() {
    local user
    "$kmsctl" --config kms.yaml user add sip:erin@example.com --psk-out erin.cred > made 2>&1 || bail 'no user' made
    "$kmsctl" --config kms.yaml group add sip:desk@example.com > made 2>&1 || bail 'no group' made
    "$kmsctl" --config kms.yaml group member-add sip:desk@example.com sip:bob@example.com > made 2>&1 || bail 'no member' made
    for user in alice bob; do
        "$kmsctl" --config kms.yaml tpk add "sip:$user@example.com" --tpk-out "$user.tpk" > made 2>&1 ||
            bail 'no shared key' made
    done
    # Before the daemon runs: a device that is to call at once, and never asks.
    "$kmsctl" --config kms.yaml tpk rotate > made 2>&1 || bail 'no key of the KMS' made
    "$kmsctl" --config kms.yaml ticket issue --as sip:alice@example.com --to sip:bob@example.com \
        --out device.mkt > made 2>&1 || bail 'no ticket' made
}
start_kms 'modes: [1]'

request() { # OUT OPTIONS...
    local out=$1
    shift
    run request --credentials alice.cred --kms "$http" --out "$out" "$@"
}
offer() { # NAME TO OPTIONS...
    local name=$1 to=$2
    shift 2
    run offer --credentials alice.cred --ticket "$name.mkt" --to "sip:$to@example.com" --out "$name.mikey" \
        --state "$name.state" "$@"
}
answer() { # NAME USER OPTIONS...
    local name=$1 user=$2
    shift 2
    run answer --credentials "$user.cred" --kms "$http" --offer "$name.mikey" --out "$name.answer" \
        --session "$name.$user" "$@"
}
complete() { run complete --credentials alice.cred --state "$1.state" --answer "$1.answer" --session "$1.alice"; }
mkis() { "$ticket" keys --session "$1" | sed -n 's/^ *mki: //p' | tr '\n' ' '; }
is() { [ -n "$1" ] && [ "$1" = "$2" ]; }
utc() { date -u -d "$1" +%Y-%m-%dT%H:%M:%SZ; }

# --- made beforehand --------------------------------------------------------------------------------

check 'a ticket made beforehand is for its owner only' mode_is 600 device.mkt # RFC6043:4.1.1
offer device bob
check 'it is offered without a request' exits 0
answer device bob
check 'and resolved' prints '^opened-by: kms$'
complete device
check 'both ends have the same keys' same_keys device.alice device.bob
check 'the KMS vouches for who answered' prints '^peer-vouched: yes$'

# --- who --------------------------------------------------------------------------------------------

request two.mkt --to sip:bob@example.com --to sip:carol@example.com
check 'a ticket for two is granted' exits 0
check 'the first is named' prints '^  - sip:bob@example.com$'
check 'and the second' prints '^  - sip:carol@example.com$'
offer two carol
answer two carol
check 'the second may answer' exits 0
complete two
check 'and the caller learns that it was her' prints '^peer: sip:carol@example.com$'
run answer --credentials erin.cred --kms "$http" --offer two.mikey --out error.mikey --session never
check 'a third may not' exits_saying 3 'the KMS refused: Invalid ID (error 7)'
seventeen=()
for i in $(seq 17); do seventeen+=(--to "sip:u$i@example.com"); done
request never "${seventeen[@]}"
check 'seventeen are too many' exits_saying 2 'too often: --to'

run answer --credentials dave.cred --kms "$http" --offer two.mikey --out error.mikey --session never
check 'a short key cannot answer an offer of suite 256' exits_saying 5 'of suite 128: PRF not supported (RFC 6043 12.1)'
run complete --credentials alice.cred --state two.state --answer error.mikey --session never
check 'and the caller is told' exits_saying 5 'Invalid PRF (error 2)'

# --- for which application --------------------------------------------------------------------------

request app.mkt --to sip:bob@example.com --app urn:example:voice --app chat
check 'a ticket for two applications is granted' prints '^  - urn:example:voice$'
check 'with a name that is no URI' prints '^  - chat$'
offer app bob
run explain app.mikey
check 'an offer tells them' prints '^applications:$'
answer app bob
complete app
check 'it is a ticket like any other' same_keys app.alice app.bob
request never --to sip:bob@example.com --app ''
check 'an application has a name' exits_saying 2 'app .*expected 1 to 1024'

# --- from when, until when, and how long a key ------------------------------------------------------

request later.mkt --to sip:bob@example.com --valid-from 20m --validity 30m --rekey 10m
check 'a ticket that begins later is granted' prints '^valid-from: 20..-'
check 'with a time to rekey' prints '^rekey-within: 10 min$'
offer later bob
check 'it cannot be offered now' exits_saying 1 'TRs'
check 'and nothing is written' absent later.mikey
request now.mkt --to sip:bob@example.com --valid-from "$(utc '-1 minute')" --validity 30m
check 'one that began a minute ago is granted, by a date' prints "^valid-until: $(utc '+29 minutes' | cut -c 1-15)"
offer now bob
answer now bob
complete now
check 'and used' same_keys now.alice now.bob
request never --to sip:bob@example.com --valid-from "$(utc '-2 hours')" --validity 1h
check 'one whose time is over is refused' exits_saying 3 'It does not serve such a Ticket Policy'
request never --to sip:bob@example.com --valid-from tomorrow
check 'a time is a time' exits_saying 2 'valid-from tomorrow: expected how long from now'

# --- which keys --------------------------------------------------------------------------------------

request keys.mkt --to sip:bob@example.com --key TGK@01 --key TGK+SALT@0202 --key TEK@03 --key TEK+SALT@04 \
    --key GTGK@05 --key GTGK+SALT:32:14@06
for want in 'TGK' 'TGK+SALT' 'TEK' 'TEK+SALT' 'GTGK' 'GTGK+SALT'; do
    check "a $want is granted beside others" prints "^  - type: $want\$"
done
check 'with the SPIs that were asked for' prints '^    spi: 0202$' # RFC6043:6.2.1
offer keys bob --sessions 4 --spi 01 --spi 04 --spi 0202
check 'each crypto session is offered with a key by SPI' exits 0
answer keys bob
complete keys
check 'each has that key, and the last one is for the rest' is "$(mkis keys.bob)" '01 04 0202 0202 '
check 'and both ends have the same keys' same_keys keys.alice keys.bob
request pick.mkt --to sip:bob@example.com --key TGK@aa --key TGK@bb
offer pick bob
answer pick bob --spi bb --spi aa
check 'an answer takes a key by SPI' is "$(mkis pick.bob)" 'bb aa '
complete pick
check 'as both ends do' same_keys pick.alice pick.bob
request odd.mkt --to sip:bob@example.com --key TGK@aa --key TGK@bb
offer odd bob --spi cc
check 'a key that is not there is not offered' exits_saying 2 'spi cc: no session key of the ticket'
offer odd bob --spi xyz
check 'an SPI is hex' exits_saying 2 'the SPI is expected'
offer odd bob
answer odd bob --spi cc
check 'nor answered with' exits_saying 5 'no key with that SPI.*(RFC 6043'
check 'and there is no session' absent odd.bob
request never --to sip:bob@example.com --key TGK@aa --key TEK@aa
check 'one SPI is of one key' exits_saying 3 'It does not serve such a Ticket Policy'

# --- a group ------------------------------------------------------------------------------------------

request team.mkt --to sip:bob@example.com --to sip:carol@example.com --flags DEFHNO --key GTGK
cp team.mkt other.mkt # the ticket before its use
offer team bob --ssrc 1
run offer --credentials alice.cred --ticket team.mkt --to sip:carol@example.com --group-of team.mikey --out team2.mikey \
    --state team2.state --ssrc 1
check 'the ticket of a group is offered to the second member, too' exits 0
answer team bob --ssrc 2
answer team2 carol --ssrc 2
check 'both members have the same keys' same_keys team.bob team2.carol # RFC6043:9-2
complete team2
check 'and the caller' same_keys team2.alice team.bob
run offer --credentials alice.cred --ticket other.mkt --to sip:carol@example.com --out other.mikey --state other.state
answer other carol
check 'without --group-of the keys are others' other_keys other.carol team.bob
request g.mkt --to sip:bob@example.com --to sip:carol@example.com --no-forking --key GTGK
offer g carol --group-of team.mikey
check 'members who add to the keys cannot have the same' exits_saying 2 'of its own (G flag)'
run offer --credentials alice.cred --ticket team.mkt --to sip:carol@example.com --group-of team.answer --out never --state never
check 'an answer is no offer' exits_saying 2 'group-of team.answer: expected an offer'

# Without key forking all who can open a ticket can make either message, under any name: who is called as a group
# does not know who calls, and keeps not knowing when there are new keys.
request desk.mkt --to sip:desk@example.com --flags DEFHLMNO --key GTGK
offer desk bob
answer desk bob
check 'for a member of a group nobody vouches without key forking' prints '^peer-vouched: no$' # RFC6043:5.1.1
complete desk
check 'nor for the caller' prints '^peer-vouched: no$'
run update --session desk.alice --supply GTGK --out desk.update
run answer-update --session desk.bob --update desk.update --out desk.updated
check 'nor is that known after an update' prints '^peer-vouched: no$'
request silent.mkt --to sip:desk@example.com --flags DEHNO --key GTGK
offer silent bob
answer silent bob
check 'nor of an offer that wants no answer' prints '^peer-vouched: no$'
request alone.mkt --to sip:bob@example.com --flags DEFHLMNO --key GTGK
offer alone bob
answer alone bob
check 'for who is named alone the caller is the only other one' prints '^peer-vouched: yes$'
complete alone
run update --session alone.alice --supply GTGK --out alone.update
run answer-update --session alone.bob --update alone.update --out alone.updated
check 'after an update, too' prints '^peer-vouched: yes$'
request desk.mkt --to sip:desk@example.com --flags DEFHINO --key GTGK
offer desk bob
answer desk bob
check 'with key forking the KMS vouches to a member of a group, too' prints '^peer-vouched: yes$'

# --- modes that are not served ------------------------------------------------------------------------

request never --to sip:bob@example.com --no-resolve
check 'mode 2 is refused where it is not served, and the reason is said' \
    exits_saying 3 'Invalid TPpar (error 15). It does not serve such a Ticket Policy: mode' # RFC6043:4.1.1
check 'the KMS logs which' grep -q 'mode 2 is not served' kms.log
run ticket --credentials alice.cred --tpk alice.tpk --to sip:bob@example.com --out own.mkt
offer own bob
answer own bob
check 'so is mode 3' exits_saying 3 'Invalid TPpar (error 15). It does not serve such a Ticket Policy: mode'
check 'the KMS logs that, too' grep -q 'mode 3 is not served' kms.log
check 'there is no session' absent own.bob
check 'none of these wrote a ticket' absent never

# --- secrets ---------------------------------------------------------------------------------------

{
    sed -n 's/^\(psk\|tpk\): "\(.*\)"/\2/p' ./*.cred ./*.tpk
    for s in ./*.bob; do "$ticket" keys --session "$s" --show-keys | sed -n 's/^ *\(key\|salt\): //p'; done
} > secrets
check 'there are secrets to look for' test "$(wc -l < secrets)" -ge 20
check 'no command printed one' bash -c "! grep -qFf '$dir/secrets' '$said'"
rig_end
