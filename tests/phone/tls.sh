#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# SIP over TLS: between two phones, through Kamailio, and with certificates that are not good. Prints TAP.
# Usage: tls.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
. "$(dirname "$0")/authority.sh"
phone=$(realpath "$4") speech=$(realpath "$5")
rig_begin "$1" "$2" "$3"
start_kms ''
mulaw "$speech" alice.wav
listens=tls

make_ca ca
make_ca foreign
certify ca alice DNS:alice.example.com
certify ca bob DNS:bob.example.com
certify ca proxy DNS:proxy.example.com,IP:127.0.0.1
certify ca domain URI:sip:bob.example.com
certify ca old DNS:bob.example.com 20200101000000Z
certify ca carol DNS:carol.example.com
certify ca star 'DNS:*.example.com'
certify ca common ''
certify foreign stranger DNS:bob.example.com

# Names without a DNS: the address stands beside the name, which is what the certificate has to show.
to_bob() { echo "sip:bob.example.com:$(port_of bob);maddr=127.0.0.1;transport=tls"; }
port_of() { at "$1" tls | sed 's/.*://'; }
shows() { echo "--tls-cert=$1.pem" "--tls-key=$1.key"; }
# shellcheck disable=SC2046 # two options
bob_shows() { wait_for_calls bob --tls-ca ca.pem $(shows "$1") --answer 100 --record heard.wav --once; }
call_bob() { call alice "sip:bob@example.com;$token" --proxy "$(to_bob)" --play alice.wav --hang-up played "$@"; }
bob_goes() {
    kill "${pid_of[bob]}" 2> "$dir/ignored"
    ended bob
}
# Whatever else happens on this machine, the URI that is called in a capture is in no other.
token=x$RANDOM$RANDOM$RANDOM
sees_invite() { grep -aq "$token" "$1.pcapng"; }
sees_no_sip() {
    tshark -r "$1.pcapng" -d "tcp.port==$2,tls" -Y "tcp.port==$2 and tls.app_data" 2> "$dir/ignored" | grep -q TLS &&
        ! sees_invite "$1"
}

# --- between two phones -----------------------------------------------------------------------------

bob_shows bob
port=$(port_of bob)
capture_begin tls
# shellcheck disable=SC2046
call_bob --tls-ca ca.pem $(shows alice)
capture_end
ended bob
check 'a call over TLS works' exits 0
check 'with keys as ever' prints '^vouched-for: by sip:kms@example.com$'
check 'speech arrives bit by bit' same_speech alice.wav heard.wav
check 'the callee hears that it is over' said_by bob '^ended: by the other party$'
check_capture 'the network sees TLS, and no SIP' sees_no_sip tls "$port"
check 'over TLS a phone listens nowhere else' never_said bob '^listening: [ut][dc]p'

listens=tcp wait_for_calls bob
capture_begin clear
call alice "sip:bob@example.com;$token" --proxy "sip:$(at bob tcp);transport=tcp" &
caller=$!
sleep 1
capture_end
bob_goes
wait $caller
check_capture 'where it would see a call over TCP' sees_invite clear

rm heard.wav
bob_shows domain
# shellcheck disable=SC2046
call_bob --tls-ca ca.pem $(shows alice)
bob_goes
check 'a certificate may name its domain as a SIP URI' exits 0 # RFC 5922 7.1

# --- certificates that are not good -----------------------------------------------------------------

# refuses NAME BOB CA PATTERN [OPTIONS of Alice...]: Bob shows his certificate BOB to Alice, who trusts CA.
refuses() {
    local name=$1 ca=$3 pattern=$4
    bob_shows "$2"
    shift 4
    call_bob --tls-ca "$ca.pem" "$@"
    bob_goes
    check "$name" prints_on 5 "$pattern"
    check '  and Bob does not ring' never_said bob '^ringing:'
}
# shellcheck disable=SC2046
alice=$(shows alice)
# shellcheck disable=SC2086
{
    refuses 'a certificate of an authority that nobody trusts is refused' stranger ca \
        '^tls-refused: by us: the certificate of bob.example.com: unable to get local issuer' $alice
    refuses 'and so is a good one, by those who trust another' bob foreign \
        '^tls-refused: by us: the certificate of bob.example.com: self-signed' $alice
    refuses 'one of another name' carol ca '^tls-refused: by us: .* bob.example.com: hostname mismatch' $alice
    refuses 'one of a whole domain' star ca '^tls-refused: by us: .* hostname mismatch' $alice # RFC 5922 7.2
    refuses 'one with a name in its subject only' common ca '^tls-refused: by us: .* hostname mismatch' $alice
    refuses 'one that has expired' old ca '^tls-refused: by us: .* certificate has expired' $alice
    refuses 'who calls without a certificate is refused' bob ca '^ended: the next hop has hung up'
    refuses 'and so is who shows that of a stranger' bob ca '^ended: the next hop has hung up' \
        --tls-cert=stranger.pem --tls-key=stranger.key
}
check 'the callee says so too' said_by bob '^tls-refused: by us: the certificate of who calls: unable to get'
call alice sip:bob@example.com --tls-ca ca.pem --proxy "sip:${http#http://}"
check 'a server that speaks no TLS is refused' prints_on 5 '^ended: cannot reach .* over TLS: '

# --- what is asked for --------------------------------------------------------------------------------

call alice sip:bob@example.com --proxy 'sip:127.0.0.1;transport=tls'
check 'TLS is not begun without authorities to trust' exits_saying 2 'needs --tls-ca'
call alice sip:bob@example.com --proxy 'sips:127.0.0.1'
check 'neither when it is called sips' exits_saying 2 'needs --tls-ca'
call alice sip:bob@example.com --tls-ca ca.pem --proxy 'sip:127.0.0.1;transport=tcp'
check 'and with them nothing goes over TCP' exits_saying 2 'over TLS, and nothing else'
call alice sip:bob@example.com --tls-ca alice.wav
check 'authorities are certificates' exits_saying 2 'no certificates in PEM'
call alice sip:bob@example.com --tls-ca ca.pem --tls-cert alice.pem
check 'a certificate comes with its key' exits_saying 2 'belong together'
call alice sip:bob@example.com --tls-ca ca.pem --tls-cert alice.pem --tls-key bob.key
check 'and with no other' exits_saying 2 'not the key of --tls-cert'
chmod 644 alice.key
# shellcheck disable=SC2046
call alice sip:bob@example.com --tls-ca ca.pem $(shows alice)
check 'a key that others can read is refused' exits_saying 1 'chmod 600 alice.key'
chmod 600 alice.key

# --- through a proxy ----------------------------------------------------------------------------------

tls_module=$(find /usr/lib -name tls.so -path '*kamailio*' -print -quit)
if [ -z "$tls_module" ]; then
    echo "# no kamailio-tls-modules: nothing goes through a proxy"
    phones_end
    exit
fi
start_proxy -A TLS
# shellcheck disable=SC2046
wait_for_calls bob --tls-ca ca.pem --register --proxy "sips:127.0.0.1:$proxy_port" --once --answer 100 \
    --record proxied.wav
registered bob
capture_begin proxied
call_through() { call alice "sip:bob@example.com;$token" --proxy "$1" --play alice.wav --hang-up played --tls-ca ca.pem; }
call_through "sips:127.0.0.1:$proxy_port"
capture_end
ended bob
check 'a call through a proxy over TLS works, with certificates of the proxy only' exits 0
check 'over the connections that the phones have made' same_speech alice.wav proxied.wav
check_capture 'the network sees TLS, and no SIP' sees_no_sip proxied "$proxy_port"
call_through "sip:other.example.com:$proxy_port;maddr=127.0.0.1;transport=tls"
check 'a proxy of another name is refused' prints_on 5 '^tls-refused: by us: .* other.example.com: hostname mismatch'
# moved CERT: Alice calls Bob through the proxy, which sends her to him; he shows CERT.
moved() {
    bob_shows "$1"
    # shellcheck disable=SC2046
    call alice "sip:bob@example.com;moved=$(port_of bob)" --proxy "sips:127.0.0.1:$proxy_port" --play alice.wav \
        --hang-up played --tls-ca ca.pem $(shows alice)
    bob_goes
}
rm heard.wav
moved bob
check 'a call that is sent elsewhere goes there over TLS' prints '^redirected: sip:bob@bob.example.com:'
check 'speech arrives bit by bit there' same_speech alice.wav heard.wav
moved proxy
check 'but not to one who shows the certificate of the proxy' prints_on 5 \
    '^tls-refused: by us: the certificate of bob.example.com: hostname mismatch'
wait_for_calls bob --tls-ca foreign.pem --register --proxy "sips:127.0.0.1:$proxy_port"
for ((i = 0; i < 500; i++)); do
    said_by bob '^not-registered: ' && break
    sleep 0.01
done
check 'nobody registers with a proxy that is not trusted' said_by bob '^not-registered: '
check 'and it is said why' said_by bob '^tls-refused: by us: the certificate of 127.0.0.1: unable to get local issuer'
bob_goes

phones_end
