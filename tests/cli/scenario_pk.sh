#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2154,SC2317 # checks and variables of rig.sh
# Users with certificates instead of pre-shared keys: REQUEST_INIT_PK and RESOLVE_INIT_PK (RFC 6043
# 4.2.1.3, 4.2.3.3). Prints TAP. Usage: scenario_pk.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL PKI_DIR
set -u
. "$(dirname "$0")/rig.sh"
pki=$(realpath "$4")
rig_begin "$1" "$2" "$3"
before_kms() {
    cp "$pki"/*.pem .
    chmod 600 ./*.key.pem
}
start_kms 'certificate: kms.cert.pem
private_key: kms.key.pem
trust: ca.cert.pem
pk_users: any'

# credential NAME USER LINES
credential() {
    printf 'identity: sip:%s@example.com\nkms: sip:kms@example.com\nsuite: 256\ncertificate: %s.cert.pem
private-key: %s.key.pem\nkms-certificate: kms.cert.pem\n%s' "$2" "$2" "$2" "$3" > "$1.cred"
    chmod 600 "$1.cred"
}
request() { # CREDENTIAL OUT
    run request --credentials "$1.cred" --kms "$http" --to sip:bob@example.com --out "$2"
}

credential alice.pk alice ''
credential bob.pk bob ''
request alice.pk a.mkt
check 'a ticket is granted to the holder of a certificate' prints '^flags: DEFGHINO$'
run offer --credentials alice.pk.cred --ticket a.mkt --to sip:bob@example.com --out a.mikey --state a.state
run answer --credentials bob.pk.cred --kms "$udp" --offer a.mikey --out a.answer --session a.bob
check 'and resolved for one' prints '^peer: sip:alice@example.com$'
run complete --credentials alice.pk.cred --state a.state --answer a.answer --session a.alice
check 'both ends have the same keys' same_keys a.alice a.bob
check 'the KMS vouches for who answered' prints '^peer-vouched: yes$'
request alice.pk b.mkt
run offer --credentials alice.pk.cred --ticket b.mkt --to sip:bob@example.com --out b.mikey --state b.state
run answer --credentials bob.cred --kms "$http" --offer b.mikey --out b.answer --session b.bob
run complete --credentials alice.pk.cred --state b.state --answer b.answer --session b.alice
check 'one with a certificate and one with a pre-shared key' same_keys b.alice b.bob
echo 'by certificate' > note
run seal --credentials alice.pk.cred --kms "$http" --to sip:bob@example.com --out note.sealed note
run open --credentials bob.pk.cred --kms "$http" --out opened note.sealed
check 'a file that one with a certificate seals, another opens' cmp -s note opened
for line in 'padding: oaep-sha256' 'padding: oaep-sha1' 'signature: pss' 'chash: yes' 'kms-ca: ca.cert.pem'; do
    credential other alice "$line"$'\n'
    request other o.mkt
    check "with $line" prints '^flags: DEFGHINO$'
done
credential other alice ''
sed -i 's/^suite: .*/suite: 128/' other.cred
request other o.mkt
check 'with suite 128' prints '^suite: 128$'
mkdir elsewhere
run request --credentials "$dir/alice.pk.cred" --kms "$http" --to sip:bob@example.com --out elsewhere/a.mkt
check 'files are found beside the credential' exits 0

# --- what must not work ------------------------------------------------------------------------------

credential mallory mallory ''
sed -i 's/^identity: .*/identity: sip:alice@example.com/' mallory.cred
request mallory never
check 'the certificate of another is refused' exits_saying 1 'does not name sip:alice@example.com'
credential mixed alice ''
sed -i 's/^private-key: .*/private-key: mallory.key.pem/' mixed.cred
request mixed never
check 'so is a key that is not of the certificate' exits_saying 1 'is not the key of the first certificate'
credential nokms alice ''
sed -i 's/^kms-certificate: .*/kms-certificate: mallory.cert.pem/' nokms.cred
request nokms never
check 'and a certificate that is not the KMS'"'"'s' exits_saying 1 'does not name sip:kms@example.com'
credential noca alice $'kms-ca: mallory.cert.pem\n'
request noca never
check 'and one that the CA did not issue' exits_saying 1 'kms.cert.pem: .*certificate not accepted'
chmod 644 alice.key.pem
request alice.pk never
check 'a private key that others can read is refused' exits_saying 1 'chmod 600 .*alice.key.pem'
chmod 600 alice.key.pem
credential both alice "psk: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"$'\n'
request both never
check 'a psk and a certificate exclude each other' exits_saying 1 'both.cred:4:14: certificate: there is a psk already'
sed '/^private-key/d' alice.pk.cred > half.cred
chmod 600 half.cred
request half never
check 'a certificate needs its key' exits_saying 1 'half.cred:4:14: certificate: needs private-key'
credential bad alice $'padding: none\n'
request bad never
check 'a padding that does not exist is refused' exits_saying 1 'expected pkcs1 or oaep-sha1 or oaep-sha256'
request alice.pk c.mkt
run offer --credentials alice.pk.cred --ticket c.mkt --to sip:bob@example.com --out c.mikey --state c.state
credential mallory mallory ''
run answer --credentials mallory.cred --kms "$http" --offer c.mikey --out error.mikey --session never
check 'who is not named in the ticket is refused by the KMS, whatever the certificate' exits_saying 3 'refused'
openssl req -x509 -newkey rsa:2048 -nodes -keyout self.key.pem -out self.cert.pem -days 2 -subj /CN=alice \
    -addext 'subjectAltName=URI:sip:alice@example.com' 2> "$dir/ignored"
chmod 600 self.key.pem
credential self alice ''
sed -i 's/alice\.\(cert\|key\)/self.\1/' self.cred
request self never
check 'a certificate that the KMS does not trust is refused by it' exits_saying 3 'Invalid\|CERT\|certificate'
check 'none of these wrote a ticket or a session' absent never

# --- secrets ---------------------------------------------------------------------------------------

{
    grep -hv '^-' ./*.key.pem
    for s in ./*.bob; do "$ticket" keys --session "$s" --show-keys | sed -n 's/^ *\(key\|salt\): //p'; done
} > secrets
check 'there are secrets to look for' test "$(wc -l < secrets)" -ge 20
check 'no command printed one' bash -c "! grep -qFf '$dir/secrets' '$said'"
rig_end
