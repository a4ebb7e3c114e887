#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# What the user gets wrong is said before anybody is called, in words that say what to do. Prints TAP.
# Usage: options.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4")
rig_begin "$1" "$2" "$3"
start_kms ''
touch phones.ended

# wrong NAME CODE PATTERN OPTIONS...: a phone that does not begin.
wrong() {
    local name=$1 exit=$2 pattern=$3
    shift 3
    timeout 3 "$phone" --credentials alice.cred --kms "$http" --listen 127.0.0.1:0 "$@" > "$dir/stdout" 2> "$dir/stderr" < /dev/null
    code=$?
    check "$name" exits_saying "$exit" "$pattern"
}

timeout 3 "$phone" --help > "$dir/stdout" 2> "$dir/stderr"
code=$?
check 'the help fits a terminal' [ "$(awk 'length > 80' "$dir/stdout" | wc -l)" -eq 0 ]
check 'and has every option with its words' prints '^  --version  *the version$'

# --- whom to call ---------------------------------------------------------------------------------------

for uri in bob bob@example.com tel:110 sips:bob@example.com SIP:bob@example.com '<sip:bob@example.com>' 'sip:bob b@example.com' \
    $'sip:b\u00fc@example.com' sip: sip:@example.com ''; do
    wrong "'$uri' is nobody who can be called" 2 'expected a SIP-URI such as sip:bob@example.com$' "$uri"
done
for proxy in 127.0.0.1:5060 example.com 'sip:127.0.0.1;transport=sctp'; do
    wrong "'$proxy' is no proxy" 2 "^mikey-phone: --proxy $proxy: expected" --proxy "$proxy" sip:bob@example.com
done

wrong 'what may be short for several options is short for none' 2 '^mikey-phone: --p is no option, or short for several. Try: ' \
    --p 'sip:127.0.0.1:1;transport=tcp' sip:bob@example.com
wrong 'and what takes no argument gets none' 2 '^mikey-phone: --once takes no argument. Try: ' --once=1

# --- what would come out with the first call only -------------------------------------------------------

wrong 'a suite that nobody knows is told at once' 2 'srtp AES_1: no such suite; known: ' --srtp AES_1
wrong 'a time that is none too' 2 'validity 10x: expected 90s' --validity 10x
wrong 'and one until new keys' 2 'rekey soon: expected 90s' --rekey soon
wrong 'and how long to wait for the KMS' 2 'timeout 0: expected a number' --timeout 0
http_was=$http http=ftp://x
wrong 'and a KMS of another kind' 2 'kms ftp://x: expected http://'
http=$http_was
wrong 'a recording that cannot be written' 2 'record /nowhere/x.wav: No such file or directory$' --record /nowhere/x.wav
wrong 'the end of a speech that there is none of' 2 'hang-up played: .*--play' --hang-up played
timeout 1 "$phone" --credentials alice.cred --kms "$http" --listen 127.0.0.1:0 --record untouched.wav > "$dir/stdout" 2> "$dir/stderr" < /dev/null
check 'a recording that can be is not begun' absent untouched.wav

# --- where to listen ------------------------------------------------------------------------------------

wrong 'a port that is none is not another one' 2 'listen 127.0.0.1:99999: expected' --listen 127.0.0.1:99999
wrong 'nor are words' 2 'listen 127.0.0.1:sip: expected' --listen 127.0.0.1:sip
wrong 'any address is not an address' 2 'listen 0.0.0.0:0: expected' --listen 0.0.0.0:0
wrong 'a port that is in use is said to be' 1 "${http#http://}: Address already in use; --listen" --listen "${http#http://}"
wrong 'an address of another machine too' 1 '192.0.2.1:5060: Cannot assign requested address; --listen' --listen 192.0.2.1:5060

# --- who is not there -----------------------------------------------------------------------------------

call alice sip:bob@example.com --proxy "sip:${closed#udp://};transport=tcp"
check 'a proxy that is not there is named' prints_on 5 "^ended: cannot reach sip:${closed#udp://};transport=tcp: Connection refused$"
call alice sip:bob@example.com --proxy 'sip:[::1]:1;transport=tcp'
check 'and one of another kind of address' prints_on 5 '^ended: cannot reach sip:\[::1\]:1;transport=tcp: .*IPv6 and IPv4'
wait_for_calls carol --register --proxy "sip:${closed#udp://};transport=tcp"
says_soon carol '^not-registered:'
check 'a phone that is not registered says that it tries again' said_by carol '^not-registered: Connection refused; it is tried again$'
kill "${pid_of[carol]}"
ended carol

phones_end
