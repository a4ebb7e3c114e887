/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-demo-media: the media side of ./dev demo. It stands in for the phones: it takes the session
 * file that `mikey-ticket` wrote and moves speech with it, or tries to listen in without. Results
 * are one line of NAME=VALUE pairs on standard output, for demo/run to judge. */
#include "demo.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum needs { SESSION = 1, AUDIO = 2, COMPARE = 4, SAVE = 8, TO = 16, FILE_NAME = 32 };

static const struct command {
    const char *name, *usage;
    bool (*run)(const struct demo_options *);
    unsigned needs; /* enum needs: options it does not work without */
} commands[] = {
    { "send", "[--session FILE --cs N] --audio IN.wav --to PORT...", demo_send, AUDIO | TO },
    { "receive", "--session FILE --cs N --audio OUT.wav", demo_receive_call, SESSION | AUDIO },
    { "listen", "--compare IN.wav", demo_listen_in, COMPARE },
    { "relay", "--to PORT --save DIR", demo_relay, TO | SAVE },
    { "replay", "--to PORT --save FILE DATAGRAM", demo_replay, TO | SAVE | FILE_NAME },
};
#define COMMANDS (sizeof commands / sizeof commands[0])

bool
demo_fail(const char *format, ...)
{
    va_list args;

    fputs("mikey-demo-media: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

static int
usage(void)
{
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(stderr, "%s mikey-demo-media %s %s\n", i == 0 ? "usage:" : "      ",
                commands[i].name, commands[i].usage);
    return 2;
}

static bool
take_cs(struct demo_options *o, const char *text)
{
    char *end;
    unsigned long id = strtoul(text, &end, 10);

    o->cs_id = (uint8_t)id;
    return *text != '\0' && *end == '\0' && id <= UINT8_MAX;
}

static bool
take_options(struct demo_options *o, int argc, char **argv)
{
    static const struct option options[] = {
        { "session", required_argument, NULL, 's' },
        { "cs", required_argument, NULL, 'c' },
        { "audio", required_argument, NULL, 'a' },
        { "compare", required_argument, NULL, 'p' },
        { "save", required_argument, NULL, 'd' },
        { "to", required_argument, NULL, 't' },
        { NULL, 0, NULL, 0 },
    };

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 's':
            o->session = optarg;
            break;
        case 'c':
            if (!take_cs(o, optarg))
                return false;
            break;
        case 'a':
            o->audio = optarg;
            break;
        case 'p':
            o->compare = optarg;
            break;
        case 'd':
            o->save = optarg;
            break;
        case 't':
            if (o->n_to == sizeof o->to / sizeof o->to[0])
                return false;
            o->to[o->n_to++] = optarg;
            break;
        default:
            return false;
        }
    }
    o->file = optind < argc ? argv[optind++] : NULL;
    return optind == argc;
}

int
main(int argc, char **argv)
{
    struct demo_options o = { .cs_id = 1 };
    const struct command *command = commands;

    while (argc > 1 && command < commands + COMMANDS && strcmp(command->name, argv[1]) != 0)
        command++;
    if (argc < 2 || command == commands + COMMANDS || !take_options(&o, argc - 1, argv + 1))
        return usage();
    unsigned has = (o.session != NULL ? SESSION : 0) | (o.audio != NULL ? AUDIO : 0) |
                   (o.compare != NULL ? COMPARE : 0) | (o.save != NULL ? SAVE : 0) |
                   (o.n_to != 0 ? TO : 0) | (o.file != NULL ? FILE_NAME : 0);
    if ((command->needs & ~has) != 0)
        return usage();
    if (srtp_init() != srtp_err_status_ok)
        return demo_fail("libsrtp2 cannot be used") ? 0 : 1;
    bool ok = command->run(&o);
    srtp_shutdown();
    return ok ? 0 : 1;
}
