/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: what each takes and what its help says. */
#include "options.h"

#define BIT(id) (UINT64_C(1) << CLI_OPT_##id)
#define ALWAYS (BIT(JSON) | BIT(QUIET) | BIT(HELP))
#define KMS_OPTIONS (BIT(TIMEOUT) | BIT(CACERT) | BIT(TLS_CERT) | BIT(TLS_KEY) | BIT(TIMESTAMP))
#define WISH_OPTIONS                                                                            \
    (BIT(FLAGS) | BIT(NO_FORKING) | BIT(NO_RESOLVE) | BIT(REUSE) | BIT(VALIDITY) | BIT(REKEY) | \
     BIT(SUITE) | BIT(KEY) | BIT(NO_KEYS) | BIT(APP) | BIT(VALID_FROM))
#define WISH_REPEATED (BIT(TO) | BIT(KEY) | BIT(APP))
#define SUPPLY_OPTIONS (BIT(SUPPLY) | BIT(SUPPLY_FILE))
#define CACHE_OPTIONS (BIT(CACHE) | BIT(REUSE_GROUP))
#define SRTP_OPTIONS (BIT(SRTP) | BIT(SSRC))

const struct cli_command cli_commands[] = {
    { .name = "decode",
      .summary = "print every field of MIKEY messages; secrets are never shown",
      .operand = "[FILE | - | TEXT]",
      .optional = BIT(JSON) | BIT(HELP),
      .details =
          "Takes a file, standard input (- or nothing), or the text itself. The message may be\n"
          "in octets, hex, base64, SDP lines a=key-mgmt:mikey ... (a whole SDP too) or an RTSP\n"
          "KeyMgmt header, or in front of a sealed object. A message that does not parse is shown "
          "as\n"
          "far as it goes.\n",
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
      .optional = WISH_OPTIONS | BIT(TICKET_TYPE) | CACHE_OPTIONS | KMS_OPTIONS | ALWAYS,
      .repeated = WISH_REPEATED,
      .details =
          "Writes the ticket with its keys to --out (mode 0600) and prints what was granted. The\n"
          "KMS may change the policy; each change is said in words.\n"
          "With --no-resolve the other party, who shares a key with the KMS, opens the ticket\n"
          "itself (mode 2 of RFC 6043). With --cache a ticket that was kept for the same wish is\n"
          "taken, or the new one kept. The TYPE of a key is TGK, TEK or GTGK, each maybe with\n"
          "+SALT; LEN and SALT are octets, by default the key length of the suite and 14; SPI is\n"
          "hex. The counter of --timestamp is kept in CREDENTIALS.counter.\n",
      .examples =
          "  mikey-ticket request --credentials alice.cred --kms http://kms.example.com \\\n"
          "      --to sip:bob@example.com --out ticket.mkt\n"
          "  mikey-ticket request --credentials alice.cred --kms udp://kms.example.com \\\n"
          "      --to sip:team@example.com --no-forking --key GTGK --out team.mkt\n"
          "  mikey-ticket request ... --reuse --rekey 1h --cache ~/.mikey-ticket\n",
      .run = cli_cmd_request },
    { .name = "ticket",
      .summary = "make a ticket yourself, with a ticket protection key that you share",
      .required = BIT(CREDENTIALS) | BIT(TPK) | BIT(TO) | BIT(OUT),
      .optional = WISH_OPTIONS | ALWAYS,
      .repeated = WISH_REPEATED,
      .details =
          "No KMS is asked. With a key that you share with the KMS it opens the ticket for whom\n"
          "you name (mode 3 of RFC 6043); with one that you share with the other party and\n"
          "--no-resolve that one opens it itself (mode 4). Default of --flags: EFGHILNO.\n",
      .examples = "  mikey-ticket ticket --credentials alice.cred --tpk alice.tpk \\\n"
                  "      --to sip:bob@example.com --out ticket.mkt\n"
                  "  mikey-ticket ticket --credentials alice.cred --tpk alice-bob.tpk \\\n"
                  "      --to sip:bob@example.com --no-resolve --out ticket.mkt\n",
      .run = cli_cmd_ticket },
    { .name = "offer",
      .summary = "make an offer (TRANSFER_INIT) with a ticket",
      .required = BIT(CREDENTIALS) | BIT(TO) | BIT(OUT) | BIT(STATE),
      .optional = BIT(TICKET) | CACHE_OPTIONS | SUPPLY_OPTIONS | SRTP_OPTIONS | BIT(SESSIONS) |
                  BIT(GROUP_OF) | BIT(SPI) | BIT(SDP) | BIT(SDP_IDS) | BIT(TIMESTAMP) | ALWAYS,
      .repeated = BIT(SRTP) | BIT(SSRC) | BIT(SPI) | SUPPLY_OPTIONS,
      .details =
          "Writes the offer to --out, for the other party, and what you need to complete it to\n"
          "--state (mode 0600). Crypto sessions 1, 3, ... are the directions you send in, 2, 4,\n"
          "... those of the other party, who chooses their SSRCs. Either --ticket or --cache is\n"
          "needed. A ticket without the J flag is for one offer: it is marked. If its policy has\n"
          "the L flag, --supply draws a key and sends it, --supply-file sends one that you have.\n"
          "Its SPEC is TYPE[:LEN[:SALT]][@SPI], as with --key of request.\n",
      .examples = "  mikey-ticket offer --credentials alice.cred --ticket ticket.mkt \\\n"
                  "      --to sip:bob@example.com --out offer.mikey --state offer.state\n"
                  "  mikey-ticket offer ... --sdp --srtp AEAD_AES_256_GCM "
                  "--srtp AES_256_CM_HMAC_SHA1_80\n",
      .run = cli_cmd_offer },
    { .name = "answer",
      .summary = "open the ticket of an offer, or have the KMS open it, and answer",
      .required = BIT(CREDENTIALS) | BIT(OFFER) | BIT(OUT) | BIT(SESSION),
      .optional = BIT(KMS) | BIT(TPK) | CACHE_OPTIONS | SUPPLY_OPTIONS | SRTP_OPTIONS | BIT(SPI) |
                  BIT(SDP) | KMS_OPTIONS | ALWAYS,
      .repeated = BIT(SRTP) | BIT(SSRC) | BIT(SPI) | SUPPLY_OPTIONS,
      .details =
          "An offer that cannot be accepted is refused before the KMS is asked (exit 5), and\n"
          "--out then holds an Error message for the other party. Otherwise --out holds the\n"
          "answer (SDP when the offer was) and --session the keys (mode 0600). A ticket whose\n"
          "policy wants no answer leaves --out unwritten. The ticket is opened by what --cache\n"
          "holds of it, by --tpk if its policy allows that, or by --kms.\n",
      .examples = "  mikey-ticket answer --credentials bob.cred --kms http://kms.example.com \\\n"
                  "      --offer offer.mikey --out answer.mikey --session bob.session\n"
                  "  mikey-ticket answer --credentials bob.cred --tpk bob.tpk ...\n",
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
    { .name = "update",
      .summary = "change a call that stands: new session keys, more crypto sessions",
      .required = BIT(SESSION) | BIT(OUT),
      .optional =
          SUPPLY_OPTIONS | BIT(ADD_SESSIONS) | BIT(NO_ANSWER) | SRTP_OPTIONS | BIT(SDP) | ALWAYS,
      .repeated = BIT(SRTP) | BIT(SSRC) | SUPPLY_OPTIONS,
      .details =
          "Either party may start one (CSB update). Writes it to --out, for the other party, and\n"
          "notes it in SESSION.csb. New keys are for all crypto sessions; who may supply them is\n"
          "said by the policy of the ticket (L: the initiator, M: the responder). It is in effect\n"
          "with complete-update, or with --no-answer at once.\n",
      .examples =
          "  mikey-ticket update --session alice.session --supply TGK --out update.mikey\n"
          "  mikey-ticket update --session bob.session --add-sessions 2 --out update.mikey\n",
      .run = cli_cmd_update },
    { .name = "answer-update",
      .summary = "take an update of the other party, and answer it",
      .required = BIT(SESSION) | BIT(UPDATE) | BIT(OUT),
      .optional = SUPPLY_OPTIONS | BIT(SRTP) | BIT(SDP) | ALWAYS,
      .repeated = BIT(SRTP) | SUPPLY_OPTIONS,
      .details = "Rewrites --session and SESSION.csb. What is refused leaves an Error message for\n"
                 "the other party in --out (exit 5), and the call as it was.\n",
      .examples = "  mikey-ticket answer-update --session bob.session --update update.mikey \\\n"
                  "      --out updated.mikey\n",
      .run = cli_cmd_answer_update },
    { .name = "complete-update",
      .summary = "take the answer to your update",
      .required = BIT(SESSION) | BIT(ANSWER),
      .optional = ALWAYS,
      .details = "Rewrites --session and SESSION.csb.\n",
      .examples = "  mikey-ticket complete-update --session alice.session --answer updated.mikey\n",
      .run = cli_cmd_complete_update },
    { .name = "compat",
      .summary = "take the RFC 3830 message out of a compatibility ticket, and its keys",
      .required = BIT(TICKET) | BIT(OUT) | BIT(SESSION),
      .optional = BIT(SDP) | ALWAYS,
      .details =
          "For a ticket of request --ticket-type compat, or compat-no-ids if the other party must\n"
          "not see ID payloads. That party knows RFC 3830 only and takes --out as it is: at once,\n"
          "since its clock judges the message, and for one call, since it knows it again. It does\n"
          "not answer. --session (mode 0600) holds the keys of both directions.\n",
      .examples = "  mikey-ticket request ... --ticket-type compat --out bob.mkt\n"
                  "  mikey-ticket compat --ticket bob.mkt --sdp --out bob.sdp \\\n"
                  "      --session alice.session\n",
      .run = cli_cmd_compat },
    { .name = "seal",
      .summary = "seal a file for somebody who opens it later",
      .operand = "FILE",
      .required = BIT(CREDENTIALS) | BIT(TO) | BIT(OUT),
      .optional = BIT(KMS) | BIT(VALIDITY) | BIT(SUITE) | BIT(APP) | BIT(TICKET_TYPE) |
                  BIT(TICKET) | CACHE_OPTIONS | BIT(NAME) | KMS_OPTIONS | ALWAYS,
      .repeated = BIT(TO) | BIT(APP),
      .details =
          "Nobody needs to be there: the object in --out can lie anywhere until one of --to opens\n"
          "it, and who keeps it cannot. --to may be a group, whose members are those of the day "
          "it\n"
          "is opened. --kms asks for a ticket made for it, by default for 7d; --ticket or --cache\n"
          "take one that you have, of request --flags DEHIJNO --key GTGK. FILE is read twice.\n",
      .examples = "  mikey-ticket seal --credentials alice.cred --kms http://kms.example.com \\\n"
                  "      --to sip:bob@example.com --out report.sealed report.pdf\n",
      .run = cli_cmd_seal },
    { .name = "open",
      .summary = "open a sealed object, and learn who sealed it",
      .operand = "FILE | -",
      .required = BIT(CREDENTIALS) | BIT(OUT),
      .optional = BIT(KMS) | BIT(TPK) | KMS_OPTIONS | ALWAYS,
      .details =
          "On any device of one it was sealed for, and as often as wanted while its ticket "
          "stands.\n"
          "--out (mode 0600) appears when all of it has verified and not before; with --out - the\n"
          "content goes to standard output, as late, and the report to standard error.\n",
      .examples = "  mikey-ticket open --credentials bob.cred --kms http://kms.example.com \\\n"
                  "      --out report.pdf report.sealed\n",
      .run = cli_cmd_open },
    { .name = "keys",
      .summary = "show the crypto sessions, and on demand their SRTP keys",
      .required = BIT(SESSION),
      .optional = BIT(SHOW_KEYS) | BIT(GST) | BIT(JSON) | BIT(HELP),
      .details =
          "Master key and salt are printed with --show-keys only. With --gst they are also in\n"
          "lines for a pipeline of gst-launch-1.0: gst-send for who sends the session, "
          "gst-receive\n"
          "for who receives it.\n",
      .examples = "  mikey-ticket keys --session alice.session\n"
                  "  mikey-ticket keys --session alice.session --json --show-keys\n",
      .run = cli_cmd_keys },
};
const size_t cli_commands_count = CLI_COUNT(cli_commands);
