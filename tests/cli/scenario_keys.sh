#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2154,SC2317 # checks and variables of rig.sh
# Session keys that the two ends supply (RFC 6043 4.2.2, 6.10 L and M, section 8), and SDP IDs both
# ways. Prints TAP. Usage: scenario_keys.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL
set -u
. "$(dirname "$0")/rig.sh"
rig_begin "$1" "$2" "$3"
start_kms ''

ticket_with() { # FLAGS OUT OPTIONS...
    local flags=$1 out=$2
    shift 2
    run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --flags "$flags" --out "$out" "$@"
}
offer() { # NAME OPTIONS...
    local name=$1
    shift
    run offer --credentials alice.cred --ticket "$name.mkt" --to sip:bob@example.com --out "$name.mikey" \
        --state "$name.state" "$@"
}
answer() { # NAME OPTIONS...
    local name=$1
    shift
    run answer --credentials bob.cred --kms "$http" --offer "$name.mikey" --out "$name.answer" \
        --session "$name.bob" "$@"
}
complete() { run complete --credentials alice.cred --state "$1.state" --answer "$1.answer" --session "$1.alice"; }
# master_key FILE CS_ID
master_key() {
    "$ticket" keys --session "$1" --show-keys | awk -v cs="$2" '/cs-id:/ { on = $3 == cs } on && $1 == "key:" { print $2 }'
}
mki_of() { "$ticket" keys --session "$1" | awk -v cs="$2" '/cs-id:/ { on = $3 == cs } on && $1 == "mki:" { print $2 }'; }
is() { [ -n "$1" ] && [ "$1" = "$2" ]; }

# --- the Initiator supplies -------------------------------------------------------------------------

ticket_with DEFGHILNO l.mkt
offer l --supply TGK@0a0b0c0d
check 'an offer with a key of its own is made' exits 0
run decode l.mikey
check 'the key is in a KEMAC' prints ' KEMAC at octet\|^KEMAC '
answer l
check 'the key is what all sessions have' is "$(mki_of l.bob 1)$(mki_of l.bob 2)" 0a0b0c0d0a0b0c0d
complete l
check 'both ends have the same keys' same_keys l.alice l.bob

# Content that was encrypted before, under a TEK that is known beforehand (section 8).
tek=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n') salt=$(head -c 14 /dev/urandom | od -An -tx1 | tr -d ' \n')
printf 'type: TEK+SALT\nkey: "%s"\nsalt: "%s"\nspi: "cafe"\n' "$tek" "$salt" > content.key
chmod 600 content.key
ticket_with DEFGHILNO c.mkt
offer c --supply-file content.key --supply TGK
check 'a key from a file and one that is drawn are supplied' exits 0
answer c
complete c
check 'the keys are for the sessions in their order' is "$(mki_of c.bob 2)" cafe
check 'the TEK of the file is the SRTP master key' is "$(master_key c.bob 2)" "$tek"
check 'at both ends' same_keys c.alice c.bob

ticket_with DEFGHILNO n.mkt --no-keys
check 'a ticket without session keys is granted' prints '^flags: DEFGHILNO$'
check 'it has none' bash -c "! grep -q 'type: T' '$dir/stdout'"
offer n
check 'an offer without any key is refused' exits_saying 2 'give one with --supply'
offer n --supply TGK+SALT
answer n
complete n
check 'with a key that is supplied the call works' same_keys n.alice n.bob

ticket_with DEHLNO f.mkt
offer f --supply TGK+SALT:32:14
run answer --credentials bob.cred --kms "$http" --offer f.mikey --out never --session f.bob
run complete --credentials alice.cred --state f.state --session f.alice
check 'without an answer, too' same_keys f.alice f.bob

# --- the Responder supplies -------------------------------------------------------------------------

ticket_with DEFGHIMNO m.mkt
offer m
answer m --supply TGK@bb
check 'the responder supplies a key' exits 0
complete m
check 'and it is used' is "$(mki_of m.alice 1)$(mki_of m.alice 2)" bbbb
check 'by both ends' same_keys m.alice m.bob
ticket_with DEFGHIMNO mn.mkt --no-keys
offer mn
check 'an offer without a key is made when the responder may bring one' exits 0
answer mn --supply TEK+SALT
complete mn
check 'and he does' same_keys mn.alice mn.bob
ticket_with DEFGHILMNO b.mkt
offer b --supply TGK@aa
answer b --supply TGK@bb
complete b
check 'both supply: each the key of what it sends' is "$(mki_of b.alice 1)$(mki_of b.alice 2)" aabb
check 'and both ends agree' same_keys b.alice b.bob

# --- what must not work -----------------------------------------------------------------------------

ticket_with DEFGHINO p.mkt
offer p --supply TGK
check 'without the L flag the initiator supplies nothing' exits_saying 2 'no L flag' # RFC6043:6.10
offer p
answer p --supply TGK
check 'without the M flag the responder supplies nothing' exits_saying 2 'no M flag' # RFC6043:6.10
check 'and has no session' absent p.bob
ticket_with DEFGHINO x.mkt --no-keys
check 'a ticket without keys that nobody may supply is refused' exits_saying 2 'must be allowed to supply'
ticket_with DEFGHILNO x.mkt --no-keys --key TGK
check 'keys and no keys exclude each other' exits_saying 2 'exclude each other'
ticket_with DEFGHILNO w.mkt
offer w --supply TEK+SALT:16:14
check 'a TEK of a wrong length is refused' exits_saying 2 'TEK+SALT:32:14'
offer w --supply MPK
check 'an MPK is no session key' exits_saying 2 'expected TGK, TEK or GTGK' # RFC6043:5.2
offer w --supply TGK@xyz
check 'an SPI that is no hex is refused' exits_saying 2 'the SPI is expected'
offer w --supply TGK@aa --supply TGK@aa
check 'an SPI twice is refused' exits_saying 1 'SPI of another key' # RFC6043:6.2.1
chmod 640 content.key
offer w --supply-file content.key
check 'a key that others can read is refused' exits_saying 1 'chmod 600 content.key'
printf 'type: TEK\nkey: 00\n' > short.key
chmod 600 short.key
offer w --supply-file short.key
check 'a short key is refused, with line and column' exits_saying 1 'short.key:2:6: key: expected 16 octets'

# --- SDP IDs ----------------------------------------------------------------------------------------

ticket_with DEFGHINO s.mkt
offer s --sdp
run decode s.mikey
check 'an offer as SDP has SDP IDs' prints 'General Ext'
answer s
run decode s.answer
check 'the answer returns them' prints 'General Ext' # RFC 4567 4.1.4
complete s
check 'and the call is complete' same_keys s.alice s.bob
ticket_with DEFGHINO u.mkt
offer u --sdp --sdp-ids 'mikey;other'
run decode u.mikey
check 'an offer names all protocols of its SDP' prints '6d696b65793b6f74686572\|mikey;other'
{ printf 'v=0\r\n'; cat u.mikey; printf 'a=key-mgmt:other abc\r\nm=audio 9 RTP/SAVP 0\r\n'; } > whole.sdp
{ printf 'v=0\r\n'; cat u.mikey; printf 'm=audio 9 RTP/SAVP 0\r\n'; } > cut.sdp
run answer --credentials bob.cred --kms "$http" --offer cut.sdp --out error.mikey --session never
check 'a list that was cut down on its way is refused' exits_saying 5 'SDP IDs differ.*(RFC 4567 4.1.4)' # RFC 4567 4.1.4
check 'without a session' absent never
run answer --credentials bob.cred --kms "$http" --offer whole.sdp --out u.answer --session u.bob
check 'a whole one is taken' exits 0
complete u
check 'and both ends have the same keys' same_keys u.alice u.bob
ticket_with DEFGHINO x.mkt
offer x --sdp-ids 'other;third'
check 'mikey is one of the protocols' exits_saying 2 'mikey is not among them'
offer x --sdp-ids 'mikey;'
check 'a list has names' exits_saying 2 'expected the protocols'
ticket_with DEFGHINO t.mkt
offer t
answer t
run decode t.answer
check 'an answer to an offer without them has none' bash -c "! grep -q 'General Ext' '$dir/stdout'"

# --- secrets ---------------------------------------------------------------------------------------

{
    sed -n 's/^psk: "\(.*\)"/\1/p' ./*.cred
    printf '%s\n' "$tek" "$salt"
    for s in ./*.bob; do "$ticket" keys --session "$s" --show-keys | sed -n 's/^ *\(key\|salt\): //p'; done
} > secrets
check 'there are secrets to look for' test "$(wc -l < secrets)" -ge 20
check 'no command printed one' bash -c "! grep -qFf '$dir/secrets' '$said'"
rig_end
