#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2154,SC2317 # checks and variables of rig.sh
# Tickets used more than once (RFC 6043 5.3): the mark of a ticket's one use, the cache of the caller,
# that of who answers, and what is not reused. Prints TAP.
# Usage: scenario_reuse.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL
set -u
. "$(dirname "$0")/rig.sh"
rig_begin "$1" "$2" "$3"
start_kms ''
closed=${closed/udp/http}

request() { # KMS OUT OPTIONS...
    local kms=$1 out=$2
    shift 2
    run request --credentials alice.cred --kms "$kms" --out "$out" "$@"
}
offer() { # NAME OPTIONS...
    local name=$1
    shift
    run offer --credentials alice.cred --to sip:bob@example.com --out "$name.mikey" --state "$name.state" "$@"
}
answer() { # NAME KMS OPTIONS...
    local name=$1 kms=$2
    shift 2
    run answer --credentials bob.cred --kms "$kms" --offer "$name.mikey" --out "$name.answer" --session "$name.bob" "$@"
}
complete() { run complete --credentials alice.cred --state "$1.state" --answer "$1.answer" --session "$1.alice"; }
entries() { find "$1" -type f \( -name 'ticket-*' -o -name 'resolution-*' \) | wc -l; }
has_entries() { [ "$(entries "$1")" = "$2" ]; }
csb_id() { printf %08x "$("$ticket" decode "$1" | sed -n 's/^  CSB ID: //p' | head -n 1)"; }
remembers() { sed -n 's/^ids: "\(.*\)"$/\1/p' "$1/csb-ids" | fold -w 8 | grep -qx "$(csb_id "$2")"; }
rand_kms() { "$ticket" decode "$1" | awk '/RANDRkms/ { on = 1 } on && $1 == "RAND:" { print $2; exit }'; }
same_modifier() { [ -n "$(rand_kms "$1")" ] && [ "$(rand_kms "$1")" = "$(rand_kms "$2")" ]; }

run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --reuse --validity 1s --out second.mkt

# --- one use -----------------------------------------------------------------------------------------

request "$http" one.mkt --to sip:bob@example.com
offer one --ticket one.mkt
check 'a ticket is offered' exits 0
check 'its file is still for its owner only' mode_is 600 one.mkt
offer two --ticket one.mkt
check 'a second offer is refused, and what to do is said' \
    exits_saying 1 'for one offer (no J flag, RFC 6043 5.3). Get a new one with mikey-ticket request' # RFC6043:5.3-3
check 'it is not written' absent two.mikey
answer one "$http"
complete one
check 'the first offer is not hurt' same_keys one.alice one.bob
request "$http" j.mkt --to sip:bob@example.com --reuse
check 'a ticket for several offers is granted' prints '^flags: DEFGHIJNO$'
offer j1 --ticket j.mkt
offer j2 --ticket j.mkt
check 'it is offered twice' exits 0
answer j1 "$http"
answer j2 "$http"
complete j1
complete j2
check 'and gives other keys each time' other_keys j1.alice j2.alice # RFC6043:5.3-1
# Two at once: one of them waits, and is refused.
race=()
request "$http" race.mkt --to sip:bob@example.com
for name in r1 r2; do
    "$ticket" offer --credentials alice.cred --ticket race.mkt --to sip:bob@example.com --out $name.mikey \
        --state $name.state > $name.out 2>&1 &
    race+=($!)
done
wait "${race[@]}"
check 'of two offers at once with one ticket one is made' bash -c "[ \$(ls r1.mikey r2.mikey 2>/dev/null | wc -l) = 1 ]"

# --- the cache of the caller -------------------------------------------------------------------------

request "$http" c.mkt --to sip:bob@example.com --reuse --cache alice.cache
check 'a ticket is kept' prints '^from-cache: no$'
check 'in a directory for its owner only' mode_is 700 alice.cache
check 'as a file for its owner only' mode_is 600 "$(find alice.cache -type f)"
request "$closed" c2.mkt --to sip:bob@example.com --reuse --cache alice.cache
check 'the same wish takes it, and asks no KMS' prints '^from-cache: yes$' # RFC6043:5.3
check 'it is the same ticket' cmp -s c.mkt c2.mkt
request "$closed" never --to sip:carol@example.com --reuse --cache alice.cache
check 'another who answers is another wish' exits 6
request "$closed" never --to sip:bob@example.com --flags DEFGHJNO --cache alice.cache
check 'so are other flags' exits 6
request "$closed" never --to sip:bob@example.com --reuse --key TEK --cache alice.cache
check 'and other keys' exits 6
run request --credentials carol.cred --kms "$closed" --to sip:bob@example.com --reuse --cache alice.cache \
    --out never
check 'and another user' exits 6
offer k1 --cache alice.cache
check 'an offer is made of the cache' prints '^from-cache: yes$'
offer k2 --cache alice.cache
check 'and another one' exits 0
check 'the CSB ID of the first is remembered, so that none takes it again' remembers alice.cache k1.mikey # RFC3830:6.1
check 'and that of the second' remembers alice.cache k2.mikey
check 'in a file for its owner only' mode_is 600 alice.cache/csb-ids
run offer --credentials alice.cred --to sip:carol@example.com --cache alice.cache --out never --state never
check 'but not to one it is not for' exits_saying 1 'holds no ticket for sip:carol@example.com'
offer never
check 'an offer needs a ticket' exits_saying 2 'either --ticket or --cache'
request "$http" never --to sip:bob@example.com --cache alice.cache
check 'a ticket for one offer is not for the cache' exits_saying 2 'wish for one with --reuse'
check 'there is one entry' has_entries alice.cache 1

# --- the cache of who answers ------------------------------------------------------------------------

answer k1 "$http" --cache bob.cache
check 'what a ticket was resolved to is kept' prints '^opened-by: kms$'
check 'the CSB ID is one that bob does not take either' remembers bob.cache k1.mikey
answer k2 "$closed" --cache bob.cache
check 'the same ticket is answered without the KMS' prints '^opened-by: cache$' # RFC6043:5.3
complete k1
complete k2
check 'the caller takes both answers: the first' same_keys k1.alice k1.bob
check 'and the second' same_keys k2.alice k2.bob
check 'with other keys' other_keys k1.bob k2.bob
check 'and the same modifier' same_modifier k1.answer k2.answer # RFC6043:5.3-2
offer k3 --cache alice.cache
run answer --credentials bob.cred --offer k3.mikey --out k3.answer --session k3.bob --cache bob.cache
check 'no KMS needs to be named then' prints '^opened-by: cache$'
tamper k3.mikey bad.mikey 8
run answer --credentials bob.cred --offer bad.mikey --out error.mikey --session never --cache bob.cache
check 'an offer that was tampered with is refused all the same' exits 5
answer one "$http" --cache bob.cache
check 'a ticket for one offer is not kept' has_entries bob.cache 1
offer k4 --cache alice.cache
run answer --credentials carol.cred --offer k4.mikey --out never --session never --cache bob.cache
check 'another user has no use of it' exits_saying 2 'nothing is kept of this ticket'

# --- groups ------------------------------------------------------------------------------------------

request "$http" g.mkt --to sip:bob@example.com --to sip:carol@example.com --reuse --cache alice.cache
check 'a ticket that several may answer is not kept' has_entries alice.cache 1 # RFC6043:5.3
request "$http" g.mkt --to sip:bob@example.com --flags DEFGHJNO --cache alice.cache
check 'nor one whose keys do not fork: it may be of a group' has_entries alice.cache 1
request "$http" g.mkt --to sip:bob@example.com --to sip:carol@example.com --reuse --cache alice.cache --reuse-group
check 'unless that is asked for' has_entries alice.cache 2
request "$closed" g.mkt --to sip:bob@example.com --to sip:carol@example.com --reuse --cache alice.cache
check 'it is not taken without asking either' exits 6
request "$closed" g.mkt --to sip:bob@example.com --to sip:carol@example.com --reuse --cache alice.cache --reuse-group
check 'but with' prints '^from-cache: yes$'
run offer --credentials alice.cred --to sip:carol@example.com --cache alice.cache --out never --state never
check 'nor is it offered without asking' exits 1
run offer --credentials alice.cred --to sip:carol@example.com --cache alice.cache --reuse-group --out g.mikey --state g.state
check 'but when asked for' exits 0
request "$http" never --to sip:bob@example.com --reuse-group
check 'which says nothing without a cache' exits_saying 2 'about --cache only'

# --- the end of a ticket -----------------------------------------------------------------------------

mkdir -m 700 short.cache
request "$http" short.mkt --to sip:bob@example.com --reuse --validity 31s --cache short.cache
check 'a ticket of 31 seconds is kept' has_entries short.cache 1
entry=$(find short.cache -type f)
ln "$entry" inode # to see what becomes of its octets
# An entry that expired: the ticket that kept it, of a second.
{ sed '/^octets:/d' "$entry"; echo "octets: $(base64 -w0 second.mkt)"; } > short.cache/ticket-0123456789abcdef
chmod 600 short.cache/ticket-0123456789abcdef
ln short.cache/ticket-0123456789abcdef old
until [ "$(date +%s)" -gt $(($(stat -c %Y second.mkt) + 1)) ]; do sleep 0.1; done
offer s1 --cache short.cache
check 'what has expired is wiped' grep -q 'expired, and wiped' "$dir/stderr"
check 'and removed' absent short.cache/ticket-0123456789abcdef
check 'none of its octets is left' bash -c "! tr -d '\\0' < old | grep -q ."
check 'the other one is still there' has_entries short.cache 1
request "$http" never --to sip:bob@example.com --reuse --validity 20s --cache short20.cache
check 'a ticket that is about to expire is not kept' has_entries short20.cache 0
echo rubbish > alice.cache/ticket-ffffffffffffffff
chmod 600 alice.cache/ticket-ffffffffffffffff
offer k5 --cache alice.cache
check 'a damaged entry is passed over' grep -q 'passed over: alice.cache/ticket-ffffffffffffffff' "$dir/stderr"
check 'and keeps nobody from calling' exits 0
echo rubbish > alice.cache/csb-ids
offer k6 --cache alice.cache
check 'nor does a damaged list of CSB IDs' grep -q 'passed over: alice.cache/csb-ids' "$dir/stderr"
check 'which is begun anew' remembers alice.cache k6.mikey
chmod 755 alice.cache
offer never --cache alice.cache
check 'a cache that others can reach is refused' exits_saying 1 'chmod 700 alice.cache'

# --- secrets ---------------------------------------------------------------------------------------

for s in ./*.bob; do "$ticket" keys --session "$s" --show-keys | sed -n 's/^ *\(key\|salt\): //p'; done > secrets
check 'there are secrets to look for' test "$(wc -l < secrets)" -ge 20
check 'no command printed one' bash -c "! grep -qFf '$dir/secrets' '$said'"
rig_end
