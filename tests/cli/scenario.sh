#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2154,SC2317 # checks and variables of rig.sh
# The client against the real KMS daemon, as a user drives it: request, offer, answer, complete,
# keys, over HTTP and UDP, and everything that must not work. Prints TAP.
# Usage: scenario.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL LOSSY_RELAY ODD_HTTP
set -u
. "$(dirname "$0")/rig.sh"
relay=$(realpath "$4") odd_http=$(realpath "$5")
rig_begin "$1" "$2" "$3"
start_kms ""

# --- what works ----------------------------------------------------------------------------------

run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --out ticket.mkt
check 'a ticket is granted over HTTP' prints '^flags: DEFGHINO$'
check 'a ticket file is for its owner only' mode_is 600 ticket.mkt
run request --credentials alice.cred --kms "$udp" --to sip:bob@example.com --out udp.mkt --json
check 'a ticket is granted over UDP, and the summary is JSON' is_json
run offer --credentials alice.cred --ticket ticket.mkt --to sip:bob@example.com --out offer.mikey \
    --state offer.state --ssrc 0x11223344
check 'an offer is made' prints '^    ssrc: 287454020$'
check 'the state of an offer is for its owner only' mode_is 600 offer.state
check 'an offer is for everyone' mode_is 644 offer.mikey
run decode offer.mikey
check 'an offer decodes' prints '^MIKEY message: 14 TRANSFER_INIT$'
run explain offer.mikey
check 'the policy of an offer is explained: the mode' prints '^mode: 1$'
check 'that it is valid' prints '^now: valid$'
check 'who may answer' prints '^  - sip:bob@example.com$'
run explain --json offer.mikey
check 'as JSON, too' is_json
run answer --credentials bob.cred --kms "$http" --offer offer.mikey --out phone.mikey \
    --session phone.session
check 'a first device answers over HTTP' prints '^peer: sip:alice@example.com$'
run answer --credentials bob.cred --kms "$udp" --offer offer.mikey --out laptop.mikey \
    --session laptop.session --ssrc 77
check 'a second device answers over UDP' prints '^    ssrc: 77$'
check 'a session file is for its owner only' mode_is 600 phone.session
run complete --credentials alice.cred --state offer.state --answer laptop.mikey \
    --session to-laptop.session
check 'the second answer is completed first' prints '^peer: sip:bob@example.com$'
run complete --credentials alice.cred --state offer.state --answer phone.mikey \
    --session to-phone.session
check 'the first answer is completed too, vouched for by the KMS' prints '^peer-vouched: yes$'
check 'both ends of the first call have the same keys' same_keys phone.session to-phone.session
check 'both ends of the second call have the same keys' same_keys laptop.session to-laptop.session
check 'the two devices share no key' other_keys phone.session laptop.session
run keys --session phone.session --json
check 'keys summarises a session as JSON' is_json
check 'with numbers as numbers' prints '"csb_id": [0-9]'
check 'and hides the keys unless asked' prints '"mki"'
check 'no key is in it' bash -c "! grep -q '\"key\"\|\"salt\"' '$dir/stdout'"

run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --validity 7d --out k.mkt
check 'a validity that the KMS cuts is said in words' prints 'valid until: .* instead of '
run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --no-forking --out n.mkt
check 'a ticket without key forking is granted' prints '^flags: DEFGHNO$'
run offer --credentials alice.cred --ticket n.mkt --to sip:bob@example.com --out n.mikey --state n.state \
    --srtp AEAD_AES_256_GCM --srtp AES_256_CM_HMAC_SHA1_80 --sdp
check 'an offer of two suites is made as SDP' grep -q '^a=key-mgmt:mikey AQ' n.mikey
run answer --credentials bob.cred --kms "$http" --offer n.mikey --out n.answer --session n.session \
    --srtp AES_256_CM_HMAC_SHA1_80 --srtp AEAD_AES_256_GCM
check 'the first suite that both know is taken, in the order of the offer' \
    prints 'suite: AEAD_AES_256_GCM'
check 'an SDP offer is answered in SDP' grep -q '^a=key-mgmt:mikey AQ' n.answer
run complete --credentials alice.cred --state n.state --answer n.answer --session n2.session
check 'without key forking the KMS vouches for nobody' prints '^peer-vouched: no$'
check 'and both ends still have the same keys' same_keys n.session n2.session

run request --credentials alice.cred --kms "$udp" --to sip:bob@example.com --flags DEHNO --out f.mkt
run offer --credentials alice.cred --ticket f.mkt --to sip:bob@example.com --out f.mikey --state f.state
check 'an offer that wants no answer says so' prints '^answer-expected: no$'
run answer --credentials bob.cred --kms "$udp" --offer f.mikey --out f.answer --session f.session
check 'it is resolved without an answer' prints '^answer-expected: no$'
check 'and none is written' absent f.answer
run complete --credentials alice.cred --state f.state --session f2.session
check 'it is completed without an answer' prints '^peer: sip:bob@example.com$'
check 'and both ends have the same keys' same_keys f.session f2.session

run request --credentials dave.cred --kms "$udp" --to sip:bob@example.com --timestamp ntp-utc-32 \
    --key GTGK+SALT --out d.mkt
check 'suite 128, a short timestamp and a key by wish are granted' prints 'type: GTGK+SALT'
run offer --credentials dave.cred --ticket d.mkt --to sip:bob@example.com --out d.mikey \
    --state d.state --sessions 4
check 'suite 128 offers a 128-bit cipher' prints 'AES_CM_128_HMAC_SHA1_80'
run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --timestamp counter --out c.mkt
check 'a counter is taken as a timestamp' exits 0
run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --timestamp counter --out c.mkt
check 'and it is kept beside the credential' grep -qx 0000000002 alice.cred.counter

# --- what must not work ----------------------------------------------------------------------------

sed 's/^psk: "..../psk: "0000/' alice.cred > wrong.cred
run request --credentials wrong.cred --kms "$http" --to sip:bob@example.com --out never
check 'a credential that others can read is refused' exits_saying 1 'chmod 600 wrong.cred'
chmod 600 wrong.cred
run request --credentials wrong.cred --kms "$http" --to sip:bob@example.com --out never
check 'a wrong key is refused by the KMS over HTTP' exits_saying 3 'psk in the credential file'
run request --credentials wrong.cred --kms "$udp" --to sip:bob@example.com --out never --timeout 5
check 'a wrong key is refused by the KMS over UDP' exits_saying 3 'not authenticated'
check 'after a second message, as the first refusal could be forged' exits_saying 3 'with a new message'
check 'and no ticket is written' absent never
sed 's/^kms: .*/kms: sip:other@example.com/' alice.cred > other.cred
chmod 600 other.cred
run request --credentials other.cred --kms "$http" --to sip:bob@example.com --out never
check 'a KMS of another name is refused' exits 3

run request --credentials alice.cred --kms "$closed" --to sip:bob@example.com --out never --timeout 1
check 'a closed UDP port is said to be unreachable' exits_saying 6 'no answer from the KMS'
run request --credentials alice.cred --kms "${closed/udp/http}" --to sip:bob@example.com --out never
check 'a closed HTTP port is said to be unreachable' exits_saying 6 'cannot reach the KMS'
run request --credentials alice.cred --kms "$http/elsewhere" --to sip:bob@example.com --out never
check 'an HTTP server that is no KMS is told apart' exits_saying 6 'is this the address of a KMS'

mkdir datagrams
mkfifo relay.port odd.port
"$relay" "${udp##*:}" datagrams > relay.port &
pids+=($!)
read -r port < relay.port
run request --credentials alice.cred --kms "udp://127.0.0.1:$port" --to sip:bob@example.com --out lossy.mkt
check 'a lost datagram is made up for' prints '^flags: DEFGHINO$'
check 'a forged answer is passed over' grep -q 'passed over' "$dir/stderr"
check 'the second message is a new one, not a copy' differ datagrams/1.datagram datagrams/2.datagram
run answer --credentials bob.cred --kms "udp://127.0.0.1:$port" --offer offer.mikey --out r.mikey \
    --session r.session
check 'a resolve goes through the same relay' exits 0

mkdir bodies
python3 "$odd_http" "$http" bodies > odd.port &
pids+=($!)
read -r port < odd.port
odd=http://127.0.0.1:$port
run request --credentials alice.cred --kms "$odd/reencode" --to sip:bob@example.com --out odd.mkt
check 'an answer in base64 is taken, whatever the status' prints '^flags: DEFGHINO$'
run request --credentials alice.cred --kms "$odd/busy" --to sip:bob@example.com --out never --timeout 1
check 'a busy KMS is asked again until the time is over' exits_saying 6 'after 2 messages'
check 'each time with a new message' differ bodies/2.body bodies/3.body
run request --credentials alice.cred --kms "$odd/huge" --to sip:bob@example.com --out never
check 'an answer that is longer than any message is refused' exits_saying 6 'more octets than'
for oddity in html empty garbage; do
    run request --credentials alice.cred --kms "$odd/$oddity" --to sip:bob@example.com --out never
    check "an answer that is no message is refused: $oddity" exits_saying 6 'MIKEY message'
done

run offer --credentials alice.cred --ticket udp.mkt --to sip:bob@example.com --out o.mikey --state o.state
run explain laptop.mikey
check 'a message without a policy cannot be explained' exits_saying 2 'TRANSFER_RESP carries no'
run explain GINO
check 'a policy that breaks rules is explained' grep -q '^  - rule: flags: I implies E$' "$dir/stdout"
check 'and the exit code says so' exits_saying 4 'the policy breaks 3 rules'
run explain DEFZ
check 'a letter that is no flag is a usage error' exits_saying 2 "'Z' is no flag"
head -c 100 offer.mikey > cut.mikey
run explain cut.mikey
check 'an offer that was cut is not explained' exits 4

tamper laptop.mikey bad.mikey 8
run complete --credentials alice.cred --state offer.state --answer bad.mikey --session never
check 'an answer that was tampered with is refused' exits_saying 5 'does not verify'
check 'and gives no session' absent never
run complete --credentials alice.cred --state o.state --answer laptop.mikey --session never
check 'an answer to another offer is refused' exits 5
head -c 100 laptop.mikey > cut.mikey
run complete --credentials alice.cred --state offer.state --answer cut.mikey --session never
check 'an answer that was cut is no message' exits 4
run complete --credentials carol.cred --state offer.state --answer laptop.mikey --session never
check 'the state of another user is refused' exits_saying 1 'does not go with the credential'

tamper o.mikey bad.mikey 8
run answer --credentials bob.cred --kms "$closed" --offer bad.mikey --out error.mikey --session never
# RFC6043:12.3-2
check 'an offer that was tampered with is refused before the KMS is asked' exits_saying 5 'Vi differs'
run complete --credentials alice.cred --state o.state --answer error.mikey --session never
check 'the Error message it leaves is understood' exits_saying 5 'not authenticated'
run answer --credentials bob.cred --kms "$closed" --offer o.mikey --out error.mikey --session never \
    --srtp AEAD_AES_256_GCM
# RFC6043:4.2.2.2-2
check 'an offer without a suite we take is refused before the KMS is asked' exits 5
run complete --credentials alice.cred --state o.state --answer error.mikey --session never
# RFC6043:5.4-6
check 'and the Error message says which suites would do' exits_saying 5 'it supports AEAD_AES_256_GCM'
run answer --credentials carol.cred --kms "$http" --offer o.mikey --out error.mikey --session never
check 'who is not named in the ticket is refused by the KMS' exits_saying 3 'the KMS refused'
check 'and the caller gets an Error message' grep -q . error.mikey
{
    head -n 1 n.mikey
    echo 'a=key-mgmt:other AAAA'
} > more.sdp
run answer --credentials bob.cred --kms "$closed" --offer more.sdp --out error.mikey --session never
# RFC3830:6.15-2
check 'an SDP with protocols that the offer does not name is refused' exits_saying 5 'SDP IDs differ'
tamper n.mikey bad.mikey 8
run answer --credentials bob.cred --kms "$udp" --offer bad.mikey --out error.mikey --session never
check 'an unforked offer that was tampered with is refused once the KMS has resolved it' \
    exits_saying 5 'after the answer of the KMS: .* does not verify'
check 'none of these gave a session' absent never

for secret in ticket.mkt offer.state phone.session; do
    chmod 640 "$secret"
done
run offer --credentials alice.cred --ticket ticket.mkt --to sip:bob@example.com --out never --state never
check 'a ticket that others can read is refused' exits_saying 1 'chmod 600 ticket.mkt'
run complete --credentials alice.cred --state offer.state --answer phone.mikey --session never
check 'a state that others can read is refused' exits_saying 1 'chmod 600 offer.state'
run keys --session phone.session
check 'a session that others can read is refused' exits_saying 1 'chmod 600 phone.session'
run request --credentials alice.cred --kms "$udp" --to sip:bob@example.com --out w.mkt
run offer --credentials alice.cred --ticket w.mkt --to sip:carol@example.com --out w.mikey --state w.state
check 'an offer to one whom the ticket does not name is made with a warning' \
    exits_saying 0 'may refuse to resolve'
run offer --credentials alice.cred --ticket bob.cred --to sip:bob@example.com --out never --state never
check 'a file that is no ticket is refused' exits_saying 1 'does not hold a ticket'
run keys --session bob.cred
check 'a file that is no session is refused' exits 1
run request --credentials alice.cred --kms ftp://127.0.0.1 --to sip:bob@example.com --out never
check 'another scheme is a usage error' exits 2
run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --flags DGINO --out never
check 'flags that contradict each other are a usage error' exits_saying 2 'RFC 6043'

# --- secrets ---------------------------------------------------------------------------------------

chmod 600 phone.session
{
    sed -n 's/^psk: "\(.*\)"/\1/p' ./*.cred
    for s in phone laptop n f; do
        "$ticket" keys --session $s.session --show-keys | sed -n 's/^ *\(key\|salt\): //p'
    done
} > secrets
check 'there are secrets to look for' test "$(wc -l < secrets)" -ge 16
check 'no command printed one without --show-keys' bash -c "! grep -qFf '$dir/secrets' '$said'"
check 'the daemon logged none either' bash -c "! grep -qFf '$dir/secrets' '$dir/kms.log'"

rig_end
