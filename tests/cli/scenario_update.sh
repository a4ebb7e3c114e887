#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2154,SC2317 # checks and variables of rig.sh
# CSB updates (RFC 6043 5.2) from either side: new keys, more crypto sessions, refusals, and the time
# to rekey (TRr). Prints TAP. Usage: scenario_update.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL
set -u
. "$(dirname "$0")/rig.sh"
rig_begin "$1" "$2" "$3"
start_kms ''

call() { # NAME OPTIONS of the request...
    local name=$1
    shift
    run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --out "$name.mkt" "$@"
    run offer --credentials alice.cred --ticket "$name.mkt" --to sip:bob@example.com --out "$name.mikey" \
        --state "$name.state"
    run answer --credentials bob.cred --kms "$http" --offer "$name.mikey" --out "$name.answer" --session "$name.bob"
    run complete --credentials alice.cred --state "$name.state" --answer "$name.answer" --session "$name.alice"
}
# update NAME FROM OPTIONS...: FROM starts one, the other answers, FROM completes.
update() {
    local name=$1 from=$2 to=bob
    shift 2
    if [ "$from" = bob ]; then to=alice; fi
    run update --session "$name.$from" --out "$name.update" "$@"
    [ "$code" -eq 0 ] || return
    run answer-update --session "$name.$to" --update "$name.update" --out "$name.updated"
    [ "$code" -eq 0 ] || return
    run complete-update --session "$name.$from" --answer "$name.updated"
}
sessions() { "$ticket" keys --session "$1" | grep -c 'cs-id:'; }
has_sessions() { [ "$(sessions "$1")" = "$2" ] && [ "$(sessions "$3")" = "$2" ]; }
# The keys are others than in the copy OLD of the session.
changed() { [ -s "$1" ] && [ -n "$(keys_of "$1")" ] && [ "$(keys_of "$1" | grep key:)" != "$(keys_of "$2" | grep key:)" ]; }
unchanged() { [ "$(keys_of "$1")" = "$(keys_of "$2")" ]; }
is() { [ -n "$1" ] && [ "$1" = "$2" ]; }
snapshot() { cp "$1.alice" "$1.alice.old"; cp "$1.bob" "$1.bob.old"; }

# --- new keys ---------------------------------------------------------------------------------------

call a --flags DEFGHILMNO --rekey 1h
check 'a call that may be updated stands' same_keys a.alice a.bob
check 'what updates need is kept beside the session, for its owner only' mode_is 600 a.alice.csb
run keys --session a.alice
check 'the time to rekey is told' prints '^rekey-by: 20..-..-..T..:..:..Z$' # RFC6043:6.10 TRr
for from in alice bob; do
    snapshot a
    update a $from --supply TGK
    check "$from gives new keys" exits 0
    check "the keys of both ends are new, by $from" changed a.alice a.alice.old
    check "and the same, by $from" same_keys a.alice a.bob
    check "the SSRCs are as before, by $from" is "$(keys_of a.alice | grep ssrc)" "$(keys_of a.alice.old | grep ssrc)"
done
check 'a session file stays for its owner only' mode_is 600 a.bob
snapshot a
update a alice --supply TEK+SALT
check 'a TEK replaces a TGK' changed a.bob a.bob.old
check 'at both ends' same_keys a.alice a.bob

# --- more crypto sessions ---------------------------------------------------------------------------

for from in alice bob; do
    update a $from --add-sessions 2
    check "$from adds two crypto sessions" exits 0
    check "the keys of all are the same at both ends, by $from" same_keys a.alice a.bob
done
check 'there are six now' has_sessions a.alice 6 a.bob
update a alice --add-sessions 1 --supply TGK --srtp AEAD_AES_256_GCM --ssrc 4711
check 'a session with another suite and new keys for all' same_keys a.alice a.bob
run keys --session a.bob
check 'the suite is the one that was offered' prints 'suite: AEAD_AES_256_GCM'
check 'and the SSRC' prints 'ssrc: 4711'
snapshot a
run update --session a.bob --supply TGK --no-answer --out a.update
check 'an update without an answer is in effect at once' changed a.bob a.bob.old # RFC6043:5.2
run answer-update --session a.alice --update a.update --out never
check 'the other end takes it' prints '^answer-expected: no$'
check 'without an answer' absent never
check 'both have the same keys' same_keys a.alice a.bob
run answer-update --session a.alice --update a.update --out never
check 'a copy of it is refused' exits_saying 5 'received before' # RFC6043:5.2
run update --session a.alice --add-sessions 1 --out a.update --sdp
run answer-update --session a.bob --update a.update --out a.updated
check 'an update in SDP is answered in SDP' grep -q '^a=key-mgmt:mikey AQ' a.updated
run complete-update --session a.alice --answer a.updated
check 'and completed' same_keys a.alice a.bob

run request --credentials dave.cred --kms "$http" --to sip:bob@example.com --flags DEHLNO --timestamp counter --out e.mkt
run offer --credentials dave.cred --ticket e.mkt --to sip:bob@example.com --out e.mikey --state e.state --timestamp counter
run answer --credentials bob.cred --kms "$http" --offer e.mikey --out never --session e.bob
run complete --credentials dave.cred --state e.state --session e.alice
check 'a call of suite 128, with counters and without an answer' same_keys e.alice e.bob
snapshot e
update e alice --supply TGK+SALT
check 'is updated' changed e.alice e.alice.old
check 'at both ends' same_keys e.alice e.bob
update e bob --add-sessions 1
check 'from either side' same_keys e.alice e.bob

# --- the answer supplies ----------------------------------------------------------------------------

call s --flags DEFGHILMNO
run update --session s.alice --add-sessions 2 --out s.update
run answer-update --session s.bob --update s.update --out s.updated --supply TGK@dd
check 'the answer to an update may bring a key' prints '^new-keys: 1$'
run complete-update --session s.alice --answer s.updated
run keys --session s.alice
check 'it is used' prints 'mki: dd'
check 'by both ends' same_keys s.alice s.bob

# --- what must not work -----------------------------------------------------------------------------

snapshot s
run update --session s.alice --supply TGK --out s.update
check 'an update that waits for its answer changes no session' unchanged s.alice s.alice.old
tamper s.update bad.update 8
run answer-update --session s.bob --update bad.update --out never
check 'an update that was tampered with is refused' exits_saying 5 'does not verify'
check 'and nobody is told' absent never
run answer-update --session s.bob --update s.update --out s.updated
tamper s.updated bad.updated 8
run complete-update --session s.alice --answer bad.updated
check 'so is an answer' exits_saying 5 'The update stays open'
check 'and the call stands as it was' unchanged s.alice s.alice.old
run complete-update --session s.alice --answer s.updated
check 'the true answer is still taken' same_keys s.alice s.bob
run complete-update --session s.alice --answer s.updated
check 'once' exits_saying 1 'no update waits for an answer'

snapshot s
run update --session s.alice --add-sessions 1 --srtp AEAD_AES_256_GCM --out s.update
run answer-update --session s.bob --update s.update --out error.mikey --srtp AES_256_CM_HMAC_SHA1_80
check 'a suite that is not taken is refused' exits_saying 5 'no acceptable security policy'
check 'and the call stands as it was' unchanged s.bob s.bob.old
run complete-update --session s.alice --answer error.mikey
check 'the Error message is understood, and authentic' exits_saying 5 'the other party refused the update: ' # RFC6043:5.4
check 'it changes nothing' unchanged s.alice s.alice.old
run answer-update --session s.bob --update s.update --out error.mikey
check 'the refused update is not taken later' exits_saying 5 'received before'
update s bob --supply TGK
check 'but a new one is' same_keys s.alice s.bob
run update --session s.alice --supply TGK --out s.update
run update --session s.bob --supply TGK --out s.other
run answer-update --session s.alice --update s.other --out s.updated
check 'of two updates that cross the newer one counts' exits 0
run answer-update --session s.bob --update s.update --out never
check 'and the older one is refused' exits_saying 5 'received before'
run complete-update --session s.bob --answer s.updated
check 'both ends agree' same_keys s.alice s.bob

call p
run update --session p.alice --supply TGK --out never
check 'without the L flag the initiator gives no keys' exits_saying 2 'no L flag' # RFC6043:6.10
run update --session p.bob --supply TGK --out never
check 'nor does the responder without M' exits_saying 2 'no M flag'
update p bob --add-sessions 2
check 'but sessions are added' has_sessions p.alice 4 p.bob
run update --session p.alice --out never
check 'an update changes something' exits_saying 2 'what is to change'
run update --session p.alice --add-sessions 252 --out never
check 'there are 255 crypto sessions at most' exits_saying 2 'from 1 to 251'
run update --session s.alice --supply TEK+SALT:16:14 --out never
check 'a TEK of a wrong length is refused' exits_saying 2 'TEK+SALT:32:14'
run answer-update --session p.bob --update s.update --out never
check 'an update of another call is refused' exits_saying 5 'CSB ID'
check 'none of these wrote a message' absent never
run keys --session p.alice
check 'without TRr there is no time to rekey' bash -c "! grep -q rekey-by '$dir/stdout'"
chmod 640 p.alice.csb
run update --session p.alice --add-sessions 1 --out never
check 'a bundle that others can read is refused' exits_saying 1 'chmod 600 p.alice.csb'
rm p.bob.csb
run update --session p.bob --add-sessions 1 --out never
check 'without the bundle there is no update' exits_saying 1 'cannot open p.bob.csb'
head -c 100 s.alice.csb > cut.csb
chmod 600 cut.csb
run update --session cut --add-sessions 1 --out never
check 'nor with half of it' exits_saying 1 'cut.csb'

# --- secrets ---------------------------------------------------------------------------------------

for s in ./*.bob ./*.alice; do "$ticket" keys --session "$s" --show-keys | sed -n 's/^ *\(key\|salt\): //p'; done > secrets
check 'there are secrets to look for' test "$(wc -l < secrets)" -ge 20
check 'no command printed one' bash -c "! grep -qFf '$dir/secrets' '$said'"
rig_end
