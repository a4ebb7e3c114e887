#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # checks and variables of rig.sh and phones.sh
# Sound cards: ALSA's own file plugin stands for a microphone and a loudspeaker, so what goes through ALSA
# can be compared. It never waits, which no card does; what the phone does of its own pace is all there is.
# Usage: sound.sh MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL MIKEY_PHONE SPEECH
set -u
. "$(dirname "$0")/../cli/rig.sh"
. "$(dirname "$0")/phones.sh"
phone=$(realpath "$4") speech=$(realpath "$5")
rig_begin "$1" "$2" "$3"
start_kms ''
mulaw "$speech" alice.wav
python3 "$tools/speech.py" raw alice.wav mic.raw
mkfifo mute
exec 9<> mute # somebody holds it open and never writes
mkdir there

# A card that fails in the call is one whose disk is full.
cat > alsa.conf << EOF
</usr/share/alsa/alsa.conf>
pcm.mic { type file slave.pcm null file /dev/null infile $dir/mic.raw format raw }
pcm.mute { type file slave.pcm null file /dev/null infile $dir/mute format raw }
pcm.speaker { type file slave.pcm null file $dir/speaker.raw format raw }
pcm.full { type file slave.pcm null file /dev/full format raw }
pcm.gone { type file slave.pcm null file $dir/there/speaker.raw format raw }
EOF
export ALSA_CONFIG_PATH=$dir/alsa.conf
same_frames() { python3 "$tools/speech.py" frames "$1" "$2" > "$dir/stderr" 2>&1; }
call_bob() { call alice sip:bob@example.com --proxy "sip:$(at bob tcp);transport=tcp" "$@"; }

wait_for_calls bob --answer 100 --speaker speaker --record heard.wav --once
call_bob --mic mic --hang-up 5000
ended bob
check 'a call from one sound card to another works' exits 0
check 'not a packet is lost or refused' prints '^media: .* 0 lost, 0 refused$'
check 'what the microphone took is what the loudspeaker said, bit by bit' same_frames mic.raw speaker.raw
python3 "$tools/speech.py" raw heard.wav heard.raw
check 'and what was recorded' same_frames mic.raw heard.raw

wait_for_calls bob --answer 100 --speaker speaker --codec opus --record heard.wav --once
call_bob --mic mic --hang-up 3000
ended bob
check 'Opus goes over sound cards, too' prints '^codec: opus$'
check 'as much as is recorded is said' [ "$(stat -c %s speaker.raw)" -gt 40000 ]

# --- devices that do not work -------------------------------------------------------------------------

wait_for_calls bob --answer 100 --play alice.wav --record heard.wav --once
call_bob --mic mute --record never.wav --hang-up 1000
ended bob
check 'a microphone that gives nothing keeps nobody waiting' exits 0
check 'silence is sent meanwhile, in time' prints '^media: [3-6][0-9] sent, [3-6][0-9] heard, 0 lost, 0 refused$'

call alice sip:bob@example.com --mic no-such-card
check 'a microphone that is not there is told at once' exits_saying 1 'the microphone no-such-card does not work: .*; arecord -L lists others$'
call alice sip:bob@example.com --speaker no-such-card
check 'and so is a loudspeaker' exits_saying 1 'the loudspeaker no-such-card does not work: .*; aplay -L lists others$'
check 'in one line' [ "$(wc -l < "$dir/stderr")" -eq 1 ]
call alice sip:bob@example.com --mic mic --play alice.wav
check 'there is one who speaks' exits_saying 2 'either --mic or --play'

wait_for_calls bob --answer 100 --play alice.wav --once
call_bob --speaker full
ended bob
check 'a call whose loudspeaker fails does not go on' prints_on 1 '^ended: the loudspeaker full does not work: '
check 'and the other party is told that it is over' said_by bob '^ended: by the other party$'

wait_for_calls bob --answer 1000 --speaker gone --once
rm -r there
call_bob --play alice.wav
ended bob 1
check 'nor one whose loudspeaker has gone when it begins' said_by bob '^ended: the loudspeaker gone does not work: '
check 'and the caller is told that it is over' prints '^ended: by the other party$'

phones_end
