#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2154,SC2317 # checks and variables of rig.sh
# Modes 2, 3 and 4 of RFC 6043 4.1.1 from the command line: who shares the ticket protection key
# makes or opens the ticket. Prints TAP. Usage: scenario_modes.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL
set -u
. "$(dirname "$0")/rig.sh"
rig_begin "$1" "$2" "$3"
before_kms() {
    local user
    for user in alice bob; do
        "$kmsctl" --config kms.yaml tpk add "sip:$user@example.com" --tpk-out "$user.tpk" > made 2>&1 ||
            bail 'no shared key' made
    done
}
start_kms 'modes: [1, 2, 3]'

# A pair of users shares a key that no KMS knows, and has no KMS.
pair=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
for user in alice bob eve; do
    case $user in alice) peer=bob ;; bob) peer=alice ;; eve) peer=bob ;; esac
    printf 'identity: sip:%s@example.com\nsuite: 256\n' $user > $user.name
    printf 'identity: sip:%s@example.com\npeer: sip:%s@example.com\ntpk-id: pair\ntpk: "%s"\nsuite: 256\n' \
        $user "$peer" "$pair" > $user.pair
done
chmod 600 ./*.name ./*.pair

# call NAME CREDENTIALS OPTIONS...: alice offers NAME.mkt, bob answers with OPTIONS, alice completes.
call() {
    local name=$1 from=$2
    shift 2
    run offer --credentials "$from" --ticket "$name.mkt" --to sip:bob@example.com --out "$name.mikey" \
        --state "$name.state"
    [ "$code" -eq 0 ] || return
    run answer --offer "$name.mikey" --out "$name.answer" --session "$name.bob" "$@"
    [ "$code" -eq 0 ] || return
    cp "$dir/stdout" answered
    run complete --credentials "$from" --state "$name.state" --answer "$name.answer" --session "$name.alice"
}
opened_by() { [ "$code" -eq 0 ] && grep -q "^opened-by: $1\$" answered; }

# --- mode 2: the KMS makes the ticket, the Responder opens it ---------------------------------------

run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --no-resolve --out m2.mkt
check 'mode 2: the KMS grants a ticket that bob can open' prints '^flags: DFGHNO$' # RFC6043:4.1.1
check 'mode 2: and says so' prints '^mode: 2$'
call m2 alice.cred --credentials bob.cred --tpk bob.tpk
check 'mode 2: bob opens it without the KMS' opened_by tpk
check 'mode 2: both ends have the same keys' same_keys m2.alice m2.bob
run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --flags DFGHNO --out m2k.mkt
call m2k alice.cred --credentials bob.cred --kms "$http"
check 'mode 2: without his key, bob has the KMS open it' opened_by kms
check 'mode 2: with the same outcome' same_keys m2k.alice m2k.bob
run request --credentials alice.cred --kms "$http" --to sip:carol@example.com --no-resolve --out m2c.mkt
check 'mode 2 is not granted for one who shares no key, and the reason is said' \
    prints 'E is now set: only the KMS can open the ticket'
run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --out m1.mkt
run offer --credentials alice.cred --ticket m1.mkt --to sip:bob@example.com --out m1.mikey --state m1.state
run answer --credentials bob.cred --tpk bob.tpk --offer m1.mikey --out never --session never
check 'a ticket that only the KMS may open is not opened, and the reason is said' \
    exits_saying 2 'only the KMS may open this ticket (E is set)' # RFC6043:6.10
check 'and nothing is written' absent never
run answer --credentials bob.cred --tpk bob.tpk --kms "$http" --offer m1.mikey --out m1.answer --session m1.bob
check 'with a KMS at hand it is asked' prints '^opened-by: kms$'

# --- mode 3: the Initiator makes the ticket, the KMS opens it ---------------------------------------

run ticket --credentials alice.cred --tpk alice.tpk --to sip:bob@example.com --out m3.mkt
check 'mode 3: alice makes a ticket without the KMS' prints '^flags: EFGHILNO$' # RFC6043:4.1.1
check 'mode 3: and is told the mode' prints '^mode: 3$'
check 'mode 3: the ticket file is for its owner only' mode_is 600 m3.mkt
call m3 alice.cred --credentials bob.cred --kms "$http"
check 'mode 3: the KMS opens it for bob' opened_by kms
check 'mode 3: both ends have the same keys' same_keys m3.alice m3.bob
run ticket --credentials alice.cred --tpk alice.tpk --to sip:bob@example.com --no-forking \
    --key GTGK+SALT --rekey 15m --validity 10m --out m3g.mkt
check 'mode 3: without key forking, with keys by wish' prints 'type: GTGK+SALT'
check 'mode 3: and with a time to rekey' prints '^rekey-within: 15 min$'
call m3g alice.cred --credentials bob.cred --kms "$udp"
check 'mode 3: that ticket is opened, too' same_keys m3g.alice m3g.bob
run ticket --credentials alice.cred --tpk alice.tpk --to sip:bob@example.com --out m3c.mkt
run offer --credentials alice.cred --ticket m3c.mkt --to sip:bob@example.com --out m3c.mikey --state m3c.state
run answer --credentials carol.cred --kms "$http" --offer m3c.mikey --out never --session none
check 'mode 3: the KMS opens it for nobody else' exits_saying 3 'the KMS refused'
# Bob's key makes tickets of bob, not of alice.
sed 's/^identity: .*/identity: sip:alice@example.com/' bob.tpk > forged.tpk
chmod 600 forged.tpk
run ticket --credentials alice.cred --tpk forged.tpk --to sip:bob@example.com --out forged.mkt
run offer --credentials alice.cred --ticket forged.mkt --to sip:bob@example.com --out forged.mikey --state f.state
run answer --credentials bob.cred --kms "$http" --offer forged.mikey --out never --session none
check 'mode 3: the KMS opens no ticket under the key of another' exits_saying 3 'the KMS refused' # RFC6043:4.1.1
run ticket --credentials alice.cred --tpk bob.tpk --to sip:bob@example.com --out none
check 'mode 3: nor does the client make one' exits_saying 2 'is a key of sip:bob@example.com'
run ticket --credentials alice.cred --tpk alice.tpk --to sip:bob@example.com --flags DEFGHINO --out none
check 'mode 3: the D flag is the KMS'"'"'s' exits_saying 2 'D says that the KMS made the ticket'
run ticket --credentials alice.cred --tpk alice.tpk --to sip:bob@example.com --flags EFGHINO --out none
check 'mode 3: flags that contradict each other are refused' exits_saying 2 'NOT D implies L' # RFC6043:6.10
run ticket --credentials alice.cred --tpk alice.tpk --to sip:bob@example.com --no-resolve --out none
check 'mode 3: with the key of the KMS, bob cannot open it himself' exits_saying 2 'needs the E flag'

# --- mode 4: the Initiator makes the ticket, the Responder opens it, without a KMS -------------------

run ticket --credentials alice.name --tpk alice.pair --to sip:bob@example.com --no-resolve --out m4.mkt
check 'mode 4: alice makes a ticket for bob' prints '^flags: FGHLNO$' # RFC6043:4.1.1
check 'mode 4: and is told the mode' prints '^mode: 4$'
call m4 alice.name --credentials bob.name --tpk bob.pair
check 'mode 4: bob opens it' opened_by tpk
check 'mode 4: both ends have the same keys' same_keys m4.alice m4.bob
check 'mode 4: bob knows who calls' grep -q '^peer: "sip:alice@example.com"$' m4.bob
check 'mode 4: for alice is the only other one who has the key' grep -q '^peer-vouched: yes$' m4.bob
run ticket --credentials alice.name --tpk alice.pair --to sip:bob@example.com --no-resolve --out m4x.mkt
run offer --credentials alice.name --ticket m4x.mkt --to sip:bob@example.com --out m4x.mikey --state x.state
tamper m4x.mikey bad.mikey 8
run answer --credentials bob.name --tpk bob.pair --offer bad.mikey --out error.mikey --session none
check 'mode 4: an offer that was tampered with is refused' exits_saying 5 'does not verify'
check 'mode 4: with an Error message' grep -q . error.mikey
other=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
sed "s/^tpk: .*/tpk: \"$other\"/" bob.pair > other.pair
chmod 600 other.pair
run answer --credentials bob.name --tpk other.pair --offer m4x.mikey --out error.mikey --session none
check 'mode 4: a ticket under another key is refused' exits_saying 5 'V does not verify'
run ticket --credentials eve.name --tpk eve.pair --to sip:bob@example.com --no-resolve --out eve.mkt
run offer --credentials eve.name --ticket eve.mkt --to sip:bob@example.com --out eve.mikey --state e.state
run answer --credentials bob.name --tpk bob.pair --offer eve.mikey --out never --session none
check 'mode 4: who has the key cannot take another name' exits_saying 2 'is not who shares the ticket key'
run ticket --credentials alice.name --tpk alice.pair --to sip:carol@example.com --no-resolve --out none
check 'mode 4: the ticket is for bob only' exits_saying 2 'can be for that one only'
run ticket --credentials alice.name --tpk alice.pair --to sip:bob@example.com --out none
check 'mode 4: no KMS could open it, so E is refused' exits_saying 2 'is not shared with a KMS'
run request --credentials alice.name --kms "$http" --to sip:bob@example.com --out none
check 'a credential without a key cannot ask a KMS' exits_saying 2 'neither a psk nor a certificate'
run answer --credentials bob.name --offer m4.mikey --out never --session none
check 'an answer needs a way to open the ticket' exits_saying 2 'how is the ticket to be opened'
sed '/^peer/d' bob.pair > nobody.pair
chmod 600 nobody.pair
run answer --credentials bob.name --tpk nobody.pair --offer m4x.mikey --out never --session none
check 'a key file must say who else has the key' exits_saying 1 'must say who else has the key'
chmod 640 bob.pair
run answer --credentials bob.name --tpk bob.pair --offer m4x.mikey --out never --session none
check 'a key that others can read is refused' exits_saying 1 'chmod 600 bob.pair'
check 'none of these gave a session' absent none

# --- secrets ---------------------------------------------------------------------------------------

{
    sed -n 's/^\(psk\|tpk\): "\(.*\)"/\2/p' ./*.cred ./*.tpk ./*.pair
    for s in ./*.bob; do "$ticket" keys --session "$s" --show-keys | sed -n 's/^ *\(key\|salt\): //p'; done
} > secrets
check 'there are secrets to look for' test "$(wc -l < secrets)" -ge 20
check 'no command printed one' bash -c "! grep -qFf '$dir/secrets' '$said'"
rig_end
