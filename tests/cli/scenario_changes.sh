#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2154,SC2317 # checks and variables of rig.sh
# What the KMS grants otherwise than it was wanted (K, RFC 6043 6.10) is told and works; what it cannot
# grant is refused with Error 15, and the reason is in its log.
# Prints TAP. Usage: scenario_changes.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL
set -u
. "$(dirname "$0")/rig.sh"
rig_begin "$1" "$2" "$3"
start_kms ''

request() { # OUT OPTIONS...
    local out=$1
    shift
    run request --credentials alice.cred --kms "$http" --out "$out" --to sip:bob@example.com "$@"
}
# call NAME: with the ticket of that name, until both ends have keys.
call() {
    run offer --credentials alice.cred --ticket "$1.mkt" --to sip:bob@example.com --out "$1.mikey" --state "$1.state"
    run answer --credentials bob.cred --kms "$http" --offer "$1.mikey" --out "$1.answer" --session "$1.bob"
    run complete --credentials alice.cred --state "$1.state" --answer "$1.answer" --session "$1.alice"
}
in_json() { [ "$code" -eq 0 ] && python3 -c "import json,sys; d = json.load(open('$dir/stdout')); sys.exit(not ($1))"; }

# --- granted as it was wanted -----------------------------------------------------------------------

request same.mkt --validity 2h --flags DEFGHINO --key TGK --to sip:carol@example.com
check 'a wish that can be granted is granted' prints '^changed-by-kms: no$' # RFC6043:6.10-9
check 'and no change is told' bash -c "! grep -q '^changes:' '$dir/stdout'"
call same
check 'the ticket works' same_keys same.alice same.bob

# --- granted otherwise -------------------------------------------------------------------------------

request long.mkt --validity 3h
check 'a validity that is too long is cut' prints '^changed-by-kms: yes$' # RFC6043:6.10-9
check 'and both times are told' prints '^  - valid until: 20.*Z instead of 20.*Z$'
check 'nothing else is' test "$(grep -c '^  - .*\(instead of\|is now set\|is not set\)' "$dir/stdout")" -eq 1
call long
check 'the ticket works' same_keys long.alice long.bob

request resolve.mkt --no-resolve
check 'nobody shares a key: E is set' prints '^  - E is now set: '
check 'which is a change' prints '^changed-by-kms: yes$'
call resolve
check 'the ticket works, by the KMS' same_keys resolve.alice resolve.bob

request answer.mkt --flags DEHINO
check 'keys that fork want an answer: F is set' prints '^  - F is now set: '
call answer
check 'the ticket works, with an answer' same_keys answer.alice answer.bob

request three.mkt --no-resolve --flags DHNO --validity 3h
check 'words and letters exclude each other' exits 2
request two.mkt --flags DFGHNO --validity 3h --json
check 'two changes are two changes' in_json 'len(d["changes"]) == 2 and d["changed_by_kms"] is True'
check 'the flags are those that were granted' in_json 'set(d["flags"]) == set("DEFGHKNO")'

# --- refused -----------------------------------------------------------------------------------------

refused() { # NAME FIELD OPTIONS...
    local name=$1 field=$2
    shift 2
    request never "$@"
    check "$name is refused with Error 15" exits_saying 3 'Invalid TPpar (error 15)'
    tail -n 1 kms.log > line
    check 'the KMS logs why' grep -q "stage=authorise .*reason=[A-Z_]* field=\"\?$field" line
    check 'and who it was' grep -q 'identity=sip:alice@example.com' line
}
refused 'a key that is longer than those of the suite' "KEMAC: key longer than the suite's" --key TGK:33
refused 'one SPI for two keys' 'KEMAC: one SPI twice' --key TGK@07 --key TEK@07
refused 'a ticket whose time is over' TRe --valid-from 2020-01-01T00:00:00Z --validity 1h
refused 'a salt that is too long' 'KEMAC: salt length' --key TEK+SALT:16:33
check 'none of these wrote a ticket' absent never

# --- secrets ----------------------------------------------------------------------------------------

{
    sed -n 's/^psk: "\(.*\)"/\1/p' ./*.cred
    for s in ./*.bob; do "$ticket" keys --session "$s" --show-keys | sed -n 's/^ *\(key\|salt\): //p'; done
} > secrets
check 'there are secrets to look for' test "$(wc -l < secrets)" -ge 20
check 'no command printed one' bash -c "! grep -qFf '$dir/secrets' '$said'"
rig_end
