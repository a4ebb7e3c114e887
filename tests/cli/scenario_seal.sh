#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2154,SC2317 # checks and variables of rig.sh
# Deferred delivery: files sealed for who opens them later, who may open them and until when, and what
# is refused of objects that were damaged, cut, or put together of others. Prints TAP.
# Usage: scenario_seal.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL DAMAGE.PY
set -u
damage=$(realpath "$4")
. "$(dirname "$0")/rig.sh"
rig_begin "$1" "$2" "$3"
before_kms() {
    local user
    "$kmsctl" --config kms.yaml user add sip:bob@example.com --psk-id bob-phone --psk-out bob.phone.cred > made 2>&1 ||
        bail 'no second device' made
    "$kmsctl" --config kms.yaml user add sip:ann@help.example.com --psk-out ann.cred > made 2>&1 || bail 'no user' made
    "$kmsctl" --config kms.yaml group add sip:helpdesk@example.com > made 2>&1 || bail 'no group' made
    for user in sip:bob@example.com sip:carol@example.com 'sip:*@help.example.com'; do
        "$kmsctl" --config kms.yaml group member-add sip:helpdesk@example.com "$user" > made 2>&1 || bail 'no member' made
    done
    "$kmsctl" --config kms.yaml tpk add sip:bob@example.com --tpk-out bob.tpk > made 2>&1 || bail 'no shared key' made
}
cat > policy.yaml << 'EOF'
rules:
  - rule: dave writes, and does not call
    from: sip:dave@example.com
    profile: deferred
  - rule: everyone
EOF
start_kms 'ticket_types: [base, reference]
policy: policy.yaml'

ctl() { "$kmsctl" --config kms.yaml "$@" > "$dir/stdout" 2> "$dir/stderr"; code=$?; }
seal() { # USER OUT OPTIONS... FILE
    local user=$1 out=$2
    shift 2
    run seal --credentials "$user.cred" --kms "$http" --out "$out" "$@"
}
open_() { # CREDENTIALS OUT OPTIONS... FILE
    local user=$1 out=$2
    shift 2
    run open --credentials "$user.cred" --kms "$http" --out "$out" "$@"
}
refused() { # CODE PATTERN: and nothing was written, not even for a while
    exits_saying "$1" "$2" && absent never && [ -z "$(find . -name 'never*')" ]
}
# How long the process and its memory at most (KiB): RSS COMMAND...
rss() {
    python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"
}
holds_none_of() { ! grep -qaFf "$2" "$1"; }

printf 'Meet me where the old clock stood.\nBring nobody.\n' > note.txt

# --- from one to another ----------------------------------------------------------------------------

seal alice note.sealed --to sip:bob@example.com note.txt
check 'a file is sealed' prints '^for:$'
check 'the ticket is one without an answer, whose sealer the KMS vouches for' prints '^vouched-for-by-kms: yes$'
check 'until when it can be opened is said' prints '^open-until: 20'
check 'and that the KMS has cut its time' prints '^changed-by-kms: yes$'
check 'nothing of the file stands in the object' holds_none_of note.sealed note.txt
check 'nor its name' bash -c '! grep -qa note.txt note.sealed'
open_ bob opened.txt note.sealed
check 'who it is for opens it' exits 0
check 'and has the file' cmp -s note.txt opened.txt
check 'for its owner only' mode_is 600 opened.txt
check 'who sealed it is said' prints '^sealed-by: sip:alice@example.com$'
check 'and that the KMS vouches for it' prints '^vouched-for-by: kms$'
check 'and when it was sealed' prints "^sealed-at: $(date -u +%Y-%m-%d)"
check 'and what it was called' prints '^name: note.txt$'
open_ bob.phone again.txt note.sealed
check 'another device of theirs opens it too, as often as wanted' cmp -s note.txt again.txt
run open --credentials bob.cred --kms "$udp" --out udp.txt note.sealed
check 'over UDP as well' cmp -s note.txt udp.txt
open_ bob json.txt --json note.sealed
check 'with a report in JSON' is_json
open_ bob - note.sealed
check 'or the file goes to standard output' cmp -s note.txt "$dir/stdout"
check 'and the report to standard error' grep -q '^sealed-by: sip:alice@example.com$' "$dir/stderr"
run open --credentials bob.cred --kms "$http" --out stdin.txt - < note.sealed
check 'an object may come from standard input' cmp -s note.txt stdin.txt
: > empty
seal alice empty.sealed --to sip:bob@example.com --name '' --json empty
check 'an empty file is sealed, with a report in JSON' is_json
open_ bob empty.opened empty.sealed
check 'and opened, and has no name when none was given' bash -c "cmp -s empty empty.opened && ! grep -q '^name' $dir/stdout"
seal alice - --to sip:bob@example.com note.txt
cp "$dir/stdout" piped.sealed
open_ bob piped.txt piped.sealed
check 'an object may go to standard output' cmp -s note.txt piped.txt
seal dave old.sealed --to sip:bob@example.com note.txt
open_ bob old.txt old.sealed
check 'with the 128-bit suite too, and where the policy has the profile for it' cmp -s note.txt old.txt
run request --credentials dave.cred --kms "$http" --to sip:bob@example.com --out never
check 'which grants no ticket for a call' refused 3 'Invalid TPpar'

# --- who may not ------------------------------------------------------------------------------------

open_ carol never note.sealed
check 'somebody else is refused by the KMS, and gets nothing' refused 3 'Invalid ID (error 7)'
open_ alice never note.sealed
check 'who sealed it is no exception' refused 3 'Invalid ID (error 7)'
run open --credentials bob.cred --kms "$closed" --timeout 1 --out never note.sealed
check 'without the KMS it stays closed' refused 6 'no answer from the KMS'
run open --credentials bob.cred --out never note.sealed
check 'how to open it must be said' refused 2 'kms URL asks the KMS'
seal alice short.sealed --to sip:bob@example.com --validity 1s note.txt
seal alice revoked.sealed --to sip:bob@example.com --ticket-type reference note.txt
open_ bob revoked.txt revoked.sealed
check 'an object with a reference ticket is opened' cmp -s note.txt revoked.txt
ctl ticket kept
ctl ticket revoke "$(grep -o '^[0-9a-f]\{32\}' "$dir/stdout" | head -n 1)"
check 'until the ticket is revoked' exits 0
open_ bob never revoked.sealed
check 'then no more' refused 3 'Invalid TICKET (error 14)'
until [ "$(date +%s)" -gt $(($(stat -c %Y short.sealed) + 1)) ]; do sleep 0.1; done
open_ bob never short.sealed
check 'nor when its time is over, and no KMS is asked' refused 5 'cannot be opened at this time: .*TRe'

# --- a group ----------------------------------------------------------------------------------------

seal alice help.sealed --to sip:helpdesk@example.com note.txt
check 'a file is sealed for a group' exits 0
open_ carol help.carol help.sealed
check 'a member opens it' cmp -s note.txt help.carol
check 'and the KMS vouches for who sealed it, to many as to one' prints '^vouched-for-by: kms$' # RFC6043:5.1.1
open_ ann help.ann help.sealed
check 'so does one whom a pattern names' cmp -s note.txt help.ann
open_ dave never help.sealed
check 'one whose keys are too short for its suite is told so' refused 5 'of suite 256, the psk of the credential'
open_ alice never help.sealed
check 'one who is no member is refused' refused 3 'Invalid ID (error 7)'
ctl group member-remove sip:helpdesk@example.com sip:carol@example.com
check 'a member is removed' exits 0
gone() { open_ carol never help.sealed; [ "$code" -eq 3 ]; }
for _ in $(seq 50); do gone && break; rm -f never; sleep 0.1; done
check 'who was removed since does not open it' refused 3 'Invalid ID (error 7)'
seal alice two.sealed --to sip:carol@example.com --to sip:bob@example.com note.txt
open_ bob two.bob two.sealed
check 'one object may be for several' cmp -s note.txt two.bob
ctl user remove sip:carol@example.com
for _ in $(seq 50); do open_ carol never two.sealed; [ "$code" -eq 0 ] || break; rm -f never; sleep 0.1; done
check 'a user who was removed is a stranger' refused 3 'Auth failure'

# --- tickets that one has ---------------------------------------------------------------------------

run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --flags DEHINO --key GTGK --out one.mkt
run seal --credentials alice.cred --ticket one.mkt --to sip:bob@example.com --out one.sealed note.txt
check 'a ticket seals' exits 0
open_ bob one.txt one.sealed
check 'and what it sealed is opened' cmp -s note.txt one.txt
run seal --credentials alice.cred --ticket one.mkt --to sip:bob@example.com --out never note.txt
check 'once, unless it may be reused' refused 1 'ticket may not be reused' # RFC6043:5.3-3
run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --flags DEHIJNO --key GTGK --cache cache \
    --reuse-group --out j.mkt
run seal --credentials alice.cred --cache cache --reuse-group --to sip:bob@example.com --out j1.sealed note.txt
check 'a ticket of the cache seals' exits 0
run seal --credentials alice.cred --ticket j.mkt --to sip:bob@example.com --out j2.sealed note.txt
check 'again and again' exits 0
check 'never with the same octets' bash -c '! cmp -s <(tail -c 60 j1.sealed) <(tail -c 60 j2.sealed)'
open_ bob j1.txt j1.sealed
open_ bob j2.txt j2.sealed
check 'and all of it is opened' bash -c 'cmp -s note.txt j1.txt && cmp -s note.txt j2.txt'
run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --out call.mkt
run seal --credentials alice.cred --ticket call.mkt --to sip:bob@example.com --out never note.txt
check 'one that wants an answer does not' refused 2 'wants an answer (F flag). Ask for one with --flags DEHINO --key GTGK'
run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --to sip:dave@example.com --flags DEHNO --out many.mkt
run seal --credentials alice.cred --ticket many.mkt --to sip:bob@example.com --out never note.txt
check 'nor one of several that hides who sealed it' refused 2 'none of them could know who sealed it'
run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --flags DEHNO --key TEK --out tek.mkt
run seal --credentials alice.cred --ticket tek.mkt --to sip:bob@example.com --out never note.txt
check 'nor one with a TEK, which gives one key for all' refused 2 'neither GTGK nor TGK'
run request --credentials alice.cred --kms "$http" --to sip:bob@example.com --flags DHNO --out tpk.mkt
run seal --credentials alice.cred --ticket tpk.mkt --to sip:bob@example.com --out tpk.sealed note.txt
run open --credentials bob.cred --tpk bob.tpk --out tpk.txt tpk.sealed
check 'one that bob opens with a key of his own needs no KMS' prints '^vouched-for-by: tpk$'
run seal --credentials alice.cred --kms "$http" --ticket j.mkt --to sip:bob@example.com --out never note.txt
check 'one way to get a ticket is enough' refused 2 'one of --kms, --ticket and --cache'
seal alice never --to sip:bob@example.com --name ../../.profile note.txt
check 'a path is no name' refused 2 'without / and control'
run seal --credentials alice.cred --kms "$http" --to sip:bob@example.com --out never <(cat note.txt)
check 'a pipe cannot be read twice' refused 2 'read twice'
run seal --credentials alice.cred --kms "$http" --to sip:bob@example.com --out never
check 'a file must be named' refused 2 'which FILE'
cp note.txt own.txt
ln -s own.txt link.txt
for out in own.txt ./own.txt link.txt; do
    run seal --credentials alice.cred --kms "$http" --to sip:bob@example.com --out "$out" own.txt
    check "nor is it replaced by the object, as $out" exits_saying 2 'own.txt would be replaced by what only others can open'
done
check 'it is what it was' cmp -s own.txt note.txt

# --- damage -----------------------------------------------------------------------------------------

head -c 200000 /dev/urandom > four.parts # of 65536 octets, and a rest
seal alice four.sealed --to sip:bob@example.com four.parts
open_ bob four.opened four.sealed
check 'a file of several parts is opened' cmp -s four.parts four.opened
mkdir damaged
python3 "$damage" four.sealed old.sealed "$ticket" damaged > damages || bail 'no damage was done' damages
while read -r file expected what; do
    open_ bob never "damaged/$file"
    case $expected in
    any) expected='[3-5]' ;;
    esac
    check "$what: refused" bash -c "[[ $code == $expected ]] && [ -z \"\$(find . -maxdepth 1 -name 'never*')\" ]"
done < damages
check 'and nothing of it was left behind' absent never

# --- where it goes ----------------------------------------------------------------------------------

# A pipe is not replaced by a file: it gets the whole, as late as a file would appear.
mkfifo pipe
timeout 20 cat pipe > from.pipe &
reader=$!
open_ bob pipe note.sealed
check 'a pipe stays a pipe' test -p pipe
[ -p pipe ] || kill $reader
wait $reader
check 'and who reads it has the file' cmp -s note.txt from.pipe
rm -f pipe
mkdir folder
open_ bob folder note.sealed
check 'a folder is none' exits_saying 1 'cannot write folder: Is a directory'
for signal in TERM HUP; do
    mkfifo feed
    "$ticket" open --credentials bob.cred --kms "$http" --out never - < feed 2> "$dir/ignored" &
    opening=$!
    exec {fd}> feed
    head -c 140000 four.sealed >&"$fd"
    for _ in $(seq 500); do [ -n "$(find . -name 'never.*' -size +63k)" ] && break; sleep 0.01; done
    kill -$signal $opening
    wait $opening
    code=$?
    exec {fd}>&-
    rm feed
    check "SIG$signal ends it" exits $((128 + $(kill -l $signal)))
    check 'and nothing that has not verified stays' test -z "$(find . -name 'never*')"
    rm -f never*
done

# --- large ------------------------------------------------------------------------------------------

truncate -s 64M large
python3 -c 'import os
with open("large", "r+b") as f:
    for at in range(0, 1 << 26, 1 << 20):
        f.seek(at); f.write(os.urandom(4096))'
client=("$ticket" seal --credentials alice.cred --kms "$http" --to sip:bob@example.com -q --out)
small=$(rss "${client[@]}" small.sealed note.txt)
large=$(rss "${client[@]}" large.sealed large)
check "64 MiB are sealed in the memory of 80 octets ($large against $small KiB)" test "$large" -lt $((small + 8192))
client=("$ticket" open --credentials bob.cred --kms "$http" -q --out)
small=$(rss "${client[@]}" small.opened small.sealed)
large=$(rss "${client[@]}" large.opened large.sealed)
check "and opened ($large against $small KiB)" test "$large" -lt $((small + 8192))
check 'whole' cmp -s large large.opened
on_a_terminal() {
    python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' "$@" > terminal 2> "$dir/ignored" < /dev/null
}
on_a_terminal "$ticket" open --credentials bob.cred --kms "$http" --out large.opened large.sealed
check 'on a terminal a bar shows how far it is' grep -q 'opening .*100 %' terminal
on_a_terminal "$ticket" seal --credentials alice.cred --kms "$http" --to sip:bob@example.com --out large.sealed large
check 'both ways' grep -q 'sealing .*100 %' terminal
on_a_terminal "$ticket" open --credentials bob.cred --kms "$http" --out small.opened small.sealed
check 'but not for a note' bash -c '! grep -q opening.*% terminal'
run explain large.sealed
check 'the ticket in front of an object is explained, however long it is' prints 'flags: DEHI'
check 'with who may open it' grep -q 'sip:bob@example.com' "$dir/stdout"
run decode - < note.sealed
check 'and its message is shown' prints '^MIKEY message: 14 TRANSFER_INIT$'
run decode <(head -c 100 note.sealed)
check 'but not half of it' exits_saying 4 'ends within its head'
check 'the object is 16 octets longer a part, and its head' \
    test "$(stat -c %s large.sealed)" -lt $((67108864 + 1025 * 16 + 1200))
rig_end
