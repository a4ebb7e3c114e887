/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to the running daemon, over its control socket (docs/formats/control-socket.md). The
 * answer is printed as it comes, as columns or as JSON; what it means is the daemon's business. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kmsctl.h"

#define ANSWER_MAX (16 << 20) /* octets */
#define PATIENCE_S 60         /* a reload may read long lists */

/* --- the socket ------------------------------------------------------------------------------- */

static enum kms_exit
fail(const char *what, const char *why)
{
    fprintf(stderr, "mikey-kmsctl: %s%s%s\n", what, why[0] == '\0' ? "" : ": ", why);
    return KMS_EXIT_FAILED;
}

static int
connected(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    const struct timeval patience = { .tv_sec = PATIENCE_S };
    int fd;

    if (strlen(path) >= sizeof to.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(to.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The whole answer, terminated, on the heap; NULL: the connection failed. */
static char *
ask(int fd, const char *question)
{
    size_t n = 0, cap = 65536;
    char *text = malloc(cap), *more;
    ssize_t got;

    if (text == NULL || send(fd, question, strlen(question), MSG_NOSIGNAL) < 0)
        goto lost;
    while ((got = recv(fd, text + n, cap - n - 1, 0)) > 0) {
        n += (size_t)got;
        if (n < cap - 1)
            continue;
        more = cap < ANSWER_MAX ? realloc(text, 2 * cap) : NULL;
        if (more == NULL)
            goto lost;
        text = more;
        cap *= 2;
    }
    text[n] = '\0';
    if (got == 0)
        return text;
lost:
    free(text);
    return NULL;
}

/* --- printing --------------------------------------------------------------------------------- */

static bool
is_number(const char *s)
{
    size_t n = strspn(s, "0123456789");

    return n > 0 && n < 19 && s[n] == '\0' && (s[0] != '0' || n == 1);
}

/* One record of key=value with tabs between; the line is taken apart. */
static void
print_json(char *record)
{
    char *field, *value;
    const char *comma = "";

    putchar('{');
    while ((field = strsep(&record, "\t")) != NULL) {
        value = strchr(field, '=');
        if (value == NULL)
            continue;
        *value++ = '\0';
        printf("%s", comma);
        kms_ctl_json(field);
        putchar(':');
        if (is_number(value))
            printf("%s", value);
        else
            kms_ctl_json(value);
        comma = ",";
    }
    putchar('}');
}

/* Values in columns; `status` has one record and is printed downwards. */
static void
print_text(char *record, bool down)
{
    char *field, *value;

    while ((field = strsep(&record, "\t")) != NULL) {
        value = strchr(field, '=');
        if (value == NULL)
            continue;
        *value++ = '\0';
        if (down)
            printf("%-22s %s\n", field, value);
        else
            printf("%s%s", value, record == NULL ? "\n" : "  ");
    }
}

/* Prints the records; the last line tells how it ended. */
static enum kms_exit
print_answer(char *text, bool json, bool down)
{
    char *line, *rest = text;
    const char *comma = "";

    if (json && !down)
        putchar('[');
    while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
        if (strcmp(line, "ok") == 0 || strncmp(line, "error: ", 7) == 0)
            break;
        if (json) {
            printf("%s", comma);
            print_json(line);
            comma = ",\n ";
        } else {
            print_text(line, down);
        }
    }
    if (json)
        puts(down ? "" : "]");
    if (line == NULL || rest == NULL)
        return fail("the daemon broke off in its answer", "");
    return line[0] == 'o' ? KMS_EXIT_OK : fail("the daemon refuses", line + 7);
}

static enum kms_exit
command(const struct kms_ctl *ctl, const char *question, bool down)
{
    const char *path = ctl->config->control;
    enum kms_exit code;
    char *text;
    int fd;

    if (path[0] == '\0')
        return fail("the configuration names no control socket", "add \"control: FILE\"");
    fd = connected(path);
    if (fd < 0) {
        fprintf(stderr, "mikey-kmsctl: no daemon listens on %s: %s\n", path, strerror(errno));
        return KMS_EXIT_FAILED;
    }
    text = ask(fd, question);
    close(fd);
    if (text == NULL)
        return fail("no answer from the daemon", strerror(errno));
    code = print_answer(text, ctl->json, down);
    free(text);
    return code;
}

/* --- commands --------------------------------------------------------------------------------- */

enum kms_exit
kms_ctl_reload(const struct kms_ctl *ctl)
{
    return command(ctl, "reload\n", false);
}

enum kms_exit
kms_ctl_status(const struct kms_ctl *ctl)
{
    return command(ctl, "status\n", true);
}

enum kms_exit
kms_ctl_peers_list(const struct kms_ctl *ctl)
{
    return command(ctl, "peers list\n", false);
}

enum kms_exit
kms_ctl_limits_list(const struct kms_ctl *ctl)
{
    return command(ctl, "limits list\n", false);
}

enum kms_exit
kms_ctl_limits_lift(const struct kms_ctl *ctl)
{
    char question[1024];
    int n = snprintf(question, sizeof question, "limits lift %s %s\n", ctl->identity, ctl->second);

    if (n < 0 || (size_t)n >= sizeof question)
        return kms_ctl_misuse("the name is too long");
    return command(ctl, question, false);
}
