/* SPDX-License-Identifier: Apache-2.0 */
/* A secret of people: it comes from a file, or is asked for at the terminal; it is never an
 * argument, which other users of the machine could see. */
#include "ctl_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <mikeyticket/secret.h>

#define SECRET_MIN 12 /* characters */

static bool
fail(const char *text)
{
    fprintf(stderr, "mikey-kmsctl: %s\n", text);
    return false;
}

/* Up to the first newline. */
static bool
take_line(int fd, struct kms_ctl_words *w)
{
    ssize_t got = 1;
    char *newline = NULL;

    for (w->n = 0; newline == NULL && w->n < sizeof w->octets && got > 0;) {
        got = read(fd, w->octets + w->n, sizeof w->octets - w->n);
        if (got > 0)
            w->n += (size_t)got;
        newline = memchr(w->octets, '\n', w->n);
    }
    if (newline != NULL)
        w->n = (size_t)(newline - w->octets);
    return got >= 0 && w->n < sizeof w->octets;
}

static bool
secret_of_file(const char *path, struct kms_ctl_words *w)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    bool ok = fd >= 0 && fstat(fd, &st) == 0;

    if (!ok)
        fprintf(stderr, "mikey-kmsctl: %s: %s\n", path, strerror(errno));
    else if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
        ok = fail("the secret can be read by others: chmod 600 its file");
    else if (!take_line(fd, w))
        ok = fail("the secret cannot be read, or is longer than 1023 octets");
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool
ask_once(int tty, const char *prompt, struct kms_ctl_words *w)
{
    struct termios shown, hidden;
    bool ok;

    if (tcgetattr(tty, &shown) != 0)
        return false;
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(tty, TCSAFLUSH, &hidden); /* before the prompt: what was typed earlier is dropped */
    dprintf(tty, "%s: ", prompt);
    ok = take_line(tty, w);
    tcsetattr(tty, TCSADRAIN, &shown);
    dprintf(tty, "\n");
    return ok;
}

static bool
secret_of_terminal(const char *prompt, bool twice, struct kms_ctl_words *w)
{
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct kms_ctl_words again = { .n = 0 };
    bool ok = tty >= 0 && ask_once(tty, prompt, w);

    if (!ok) {
        fail("there is no terminal to ask for the passphrase: give --secret FILE");
    } else if (twice &&
               (!ask_once(tty, "Once more", &again) || again.n != w->n ||
                !mkt_ct_equal(mkt_span(again.octets, again.n), mkt_span(w->octets, w->n)))) {
        ok = fail("the passphrases differ");
    }
    mkt_wipe(&again, sizeof again);
    if (tty >= 0)
        close(tty);
    return ok;
}

bool
kms_ctl_secret(const struct kms_ctl *ctl, const char *prompt, bool fresh, struct kms_ctl_words *w)
{
    if (ctl->secret != NULL ? !secret_of_file(ctl->secret, w)
                            : !secret_of_terminal(prompt, fresh, w))
        return false;
    return w->n >= SECRET_MIN || fail("a secret has at least 12 characters");
}
