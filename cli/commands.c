/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: what each takes and what its help says. */
#include "options.h"

#define BIT(id) (1U << CLI_OPT_##id)
#define ALWAYS (BIT(JSON) | BIT(QUIET) | BIT(HELP))
#define KMS_OPTIONS (BIT(TIMEOUT) | BIT(CACERT) | BIT(TIMESTAMP))

const struct cli_command cli_commands[] = {
    { .name = "decode",
      .summary = "print every field of MIKEY messages; secrets are never shown",
      .operand = "[FILE | - | TEXT]",
      .optional = BIT(JSON) | BIT(HELP),
      .details =
          "Takes a file, standard input (- or nothing), or the text itself. The message may be\n"
          "in octets, hex, base64, SDP lines a=key-mgmt:mikey ... (a whole SDP too) or an RTSP\n"
          "KeyMgmt header. A message that does not parse is shown as far as it goes.\n",
      .examples = "  mikey-ticket decode offer.mikey\n"
                  "  mikey-ticket decode --json - < invite.sdp\n"
                  "  mikey-ticket decode 'a=key-mgmt:mikey AQ4F...'\n",
      .run = cli_cmd_decode },
    { .name = "explain",
      .summary = "say in words what a Ticket Policy allows, and which rules it breaks",
      .operand = "[FLAGS | FILE | - | TEXT]",
      .optional = BIT(JSON) | BIT(QUIET) | BIT(HELP),
      .details =
          "Takes the letters of a policy, such as DEFGHINO, or a message with a Ticket Policy or\n"
          "a ticket, in anything that decode takes: what each flag means, who makes and opens the\n"
          "ticket, what follows for the keys, how long it is valid and who may answer. A policy\n"
          "that breaks a rule is explained too, with the clause, and the exit code is 4.\n",
      .examples = "  mikey-ticket explain DEFGHINO\n"
                  "  mikey-ticket explain --json offer.mikey\n"
                  "  mikey-ticket explain 'a=key-mgmt:mikey AQ4F...'\n",
      .run = cli_cmd_explain },
    { .name = "request",
      .summary = "ask the KMS for a ticket",
      .required = BIT(CREDENTIALS) | BIT(KMS) | BIT(TO) | BIT(OUT),
      .optional = BIT(FLAGS) | BIT(NO_FORKING) | BIT(VALIDITY) | BIT(SUITE) | BIT(KEY) |
                  KMS_OPTIONS | ALWAYS,
      .repeated = BIT(TO) | BIT(KEY),
      .details =
          "Writes the ticket with its keys to --out (mode 0600) and prints what was granted. The\n"
          "KMS may change the policy; each change is said in words.\n"
          "  --key LEN and SALT are octets; default: the key length of the suite, salt 14.\n"
          "  --timestamp counter keeps its counter in CREDENTIALS.counter.\n",
      .examples =
          "  mikey-ticket request --credentials alice.cred --kms http://kms.example.com \\\n"
          "      --to sip:bob@example.com --out ticket.mkt\n"
          "  mikey-ticket request --credentials alice.cred --kms udp://kms.example.com \\\n"
          "      --to sip:team@example.com --no-forking --key GTGK --out team.mkt\n",
      .run = cli_cmd_request },
    { .name = "offer",
      .summary = "make an offer (TRANSFER_INIT) with a ticket",
      .required = BIT(CREDENTIALS) | BIT(TICKET) | BIT(TO) | BIT(OUT) | BIT(STATE),
      .optional = BIT(SRTP) | BIT(SSRC) | BIT(SESSIONS) | BIT(SDP) | BIT(TIMESTAMP) | ALWAYS,
      .repeated = BIT(SRTP) | BIT(SSRC),
      .details = "Writes the offer to --out, for the other party, and what you need to complete it "
                 "to\n--state (mode 0600). Crypto sessions 1, 3, ... are the directions you send "
                 "in, 2, 4,\n... those of the other party, who chooses their SSRCs.\n",
      .examples = "  mikey-ticket offer --credentials alice.cred --ticket ticket.mkt \\\n"
                  "      --to sip:bob@example.com --out offer.mikey --state offer.state\n"
                  "  mikey-ticket offer ... --sdp --srtp AEAD_AES_256_GCM "
                  "--srtp AES_256_CM_HMAC_SHA1_80\n",
      .run = cli_cmd_offer },
    { .name = "answer",
      .summary = "have the ticket of an offer resolved by the KMS, and answer",
      .required = BIT(CREDENTIALS) | BIT(KMS) | BIT(OFFER) | BIT(OUT) | BIT(SESSION),
      .optional = BIT(SRTP) | BIT(SSRC) | BIT(SDP) | KMS_OPTIONS | ALWAYS,
      .repeated = BIT(SRTP) | BIT(SSRC),
      .details =
          "An offer that cannot be accepted is refused before the KMS is asked (exit 5), and\n"
          "--out then holds an Error message for the other party. Otherwise --out holds the\n"
          "answer (SDP when the offer was) and --session the keys (mode 0600). A ticket whose\n"
          "policy wants no answer leaves --out unwritten.\n",
      .examples = "  mikey-ticket answer --credentials bob.cred --kms http://kms.example.com \\\n"
                  "      --offer offer.mikey --out answer.mikey --session bob.session\n",
      .run = cli_cmd_answer },
    { .name = "complete",
      .summary = "take an answer to an offer, and learn who answered",
      .required = BIT(CREDENTIALS) | BIT(STATE) | BIT(SESSION),
      .optional = BIT(ANSWER) | ALWAYS,
      .details =
          "Run it once for each answer: every device that answers has keys of its own, so give\n"
          "each its own --session. Leave --answer out when the ticket wants no answer.\n",
      .examples = "  mikey-ticket complete --credentials alice.cred --state offer.state \\\n"
                  "      --answer answer.mikey --session alice.session\n",
      .run = cli_cmd_complete },
    { .name = "keys",
      .summary = "show the crypto sessions, and on demand their SRTP keys",
      .required = BIT(SESSION),
      .optional = BIT(SHOW_KEYS) | BIT(JSON) | BIT(HELP),
      .details = "Master key and salt are printed with --show-keys only.\n",
      .examples = "  mikey-ticket keys --session alice.session\n"
                  "  mikey-ticket keys --session alice.session --json --show-keys\n",
      .run = cli_cmd_keys },
};
const size_t cli_commands_count = CLI_COUNT(cli_commands);
