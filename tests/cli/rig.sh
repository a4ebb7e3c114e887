# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034,SC2317 # for the scenarios that read this file
# What the scenarios of the client share: a directory, checks that print TAP, a KMS and its users.
# A scenario begins with: . rig.sh; rig_begin MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL

rig_begin() {
    ticket=$(realpath "$1") kmsd=$(realpath "$2") kmsctl=$(realpath "$3")
    dir=$(mktemp -d)
    pids=()
    count=0
    failed=0
    export no_proxy='*'
    # Every word that any command prints goes here too: no key may be among them.
    said=$dir/said
    : > "$said"
    trap finish EXIT
    cd "$dir" || exit 1
    umask 022
}

rig_end() {
    echo "1..$count"
    exit "$failed"
}

finish() {
    for pid in "${pids[@]}"; do
        kill "$pid" 2> "$dir/ignored"
        wait "$pid" 2> "$dir/ignored"
    done
    rm -rf "$dir"
}
# Runs the client; its output is in $dir/stdout and $dir/stderr, its exit code in $code.
run() {
    "$ticket" "$@" > "$dir/stdout" 2> "$dir/stderr"
    code=$?
    case " $* " in
    *' --show-keys '*) ;;
    *) cat "$dir/stdout" "$dir/stderr" >> "$said" ;;
    esac
}

# check NAME COMMAND...: one TAP line.
check() {
    local name=$1
    shift
    count=$((count + 1))
    if "$@"; then
        echo "ok $count - $name"
        return
    fi
    failed=1
    echo "not ok $count - $name"
    echo "# exit code $code"
    sed 's/^/# /' "$dir/stdout" "$dir/stderr"
}

exits() { [ "$code" -eq "$1" ]; }
# exits_saying CODE PATTERN: and says so on stderr.
exits_saying() { [ "$code" -eq "$1" ] && grep -q "$2" "$dir/stderr"; }
prints() { [ "$code" -eq 0 ] && grep -q "$1" "$dir/stdout"; }
mode_is() { [ "$(stat -c %a "$2")" = "$1" ]; }
absent() { [ ! -e "$1" ]; }
keys_of() { "$ticket" keys --session "$1" --show-keys | grep -E '^ +(key|salt|mki|ssrc):'; }
same_keys() { [ -n "$(keys_of "$1")" ] && [ "$(keys_of "$1")" = "$(keys_of "$2")" ]; }
other_keys() {
    local a b
    a=$("$ticket" keys --session "$1" --show-keys | grep ' key:')
    b=$("$ticket" keys --session "$2" --show-keys | grep ' key:')
    [ -n "$a" ] && [ -n "$b" ] && [ -z "$(comm -12 <(sort <<< "$a") <(sort <<< "$b"))" ]
}
# The files differ and both hold something.
differ() { [ -s "$1" ] && [ -s "$2" ] && ! cmp -s "$1" "$2"; }
is_json() { [ "$code" -eq 0 ] && python3 -m json.tool "$dir/stdout" > "$dir/ignored"; }
# Changes one character in the middle of line 1 of a base64 file, and keeps it base64.
tamper() {
    local text at
    text=$(head -n 1 "$1")
    at=$((${#text} - $3))
    case ${text:at:1} in A) new=B ;; *) new=A ;; esac
    printf '%s\n' "${text:0:at}$new${text:at+1}" > "$2"
}

bail() {
    echo "Bail out! $1"
    sed 's/^/# /' "$2"
    exit 1
}

# --- the KMS ----------------------------------------------------------------------------------------

# start_kms LINES: alice, bob and carol have suite 256, dave suite 128; LINES go into the
# configuration. What before_kms adds, if there is such a function, is known from the start. Sets udp
# and http.
start_kms() {
    local user word url
    cat > kms.yaml << EOF
identity: sip:kms@example.com
listen:
  - udp://127.0.0.1:0
  - http://127.0.0.1:0
store: sqlite:kms.db
kek: file:kms.kek
workers: 1
max_validity: 2h
$1
EOF
    for user in alice bob carol; do
        "$kmsctl" --config kms.yaml user add "sip:$user@example.com" --psk-out "$user.cred" > made 2>&1 ||
            bail "no user" made
    done
    "$kmsctl" --config kms.yaml user add sip:dave@example.com --suite 128 --psk-out dave.cred > made 2>&1 ||
        bail "no user" made
    if declare -F before_kms > /dev/null; then
        before_kms
    fi
    mkfifo ready
    "$kmsd" --config kms.yaml > ready 2> kms.log &
    pids+=($!)
    udp="" http=""
    while read -r word url; do
        case "$word $url" in
        'listening udp://'*) udp=$url ;;
        'listening http://'*) http=$url ;;
        'ready '*) break ;;
        esac
    done < <(cat ready)
    if [ -z "$udp" ] || [ -z "$http" ]; then
        bail 'the daemon did not start' kms.log
    fi
    closed=${udp%:*}:1 # nobody listens there: for commands that must not ask
}
