/* SPDX-License-Identifier: Apache-2.0 */
/* Messages are files, and what happens to one is a rename: so SIP and HTTP, which run in threads of
 * their own, share nothing else, and a box that was killed goes on with what it had. */
#include "box.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool
box_random(char *hex, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        unsigned char c;
        if (getrandom(&c, 1, 0) != 1)
            return false;
        hex[2 * i] = digits[c >> 4];
        hex[2 * i + 1] = digits[c & 15];
    }
    hex[2 * n] = '\0';
    return true;
}

bool
box_store_name(const char *name)
{
    if (*name == '.' || strlen(name) > BOX_NAME_MAX || strchr(name, '@') == NULL)
        return false;
    for (; *name != '\0'; name++)
        if (!isalnum((unsigned char)*name) && strchr("@._+-", *name) == NULL)
            return false;
    return true;
}

static bool
is_token(const char *text, size_t n)
{
    return n == BOX_TOKEN && strspn(text, "0123456789abcdef") >= n;
}

static bool
path_of(char out[BOX_PATH_MAX], const char *dir, const char *name, const char *token,
        const char *state)
{
    if (!box_store_name(name) || !is_token(token, strlen(token)))
        return false;
    int n = snprintf(out, BOX_PATH_MAX, "%s/%s/%s.%s", dir, name, token, state);
    return n > 0 && n < BOX_PATH_MAX;
}

/* --- a folder --------------------------------------------------------------------------------- */

struct entry {
    char token[BOX_TOKEN + 1];
    time_t since;
};

/* Removes what was asked for and never came, or did not come to its end. */
static void
sweep(const char *dir, const char *name, const struct entry *e, const char *state)
{
    char path[BOX_PATH_MAX];

    if (e->since + BOX_ASKED_S < time(NULL) && path_of(path, dir, name, e->token, state))
        unlink(path);
}

/* The messages of a user; places that are too old go. */
static size_t
read_folder(const char *dir, const char *name, struct entry *entries, size_t cap)
{
    char path[BOX_PATH_MAX];
    struct stat st;
    size_t n = 0;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return 0;
    for (struct dirent *d; (d = readdir(folder)) != NULL && n < cap;) {
        const char *dot = strchr(d->d_name, '.');
        struct entry *e = &entries[n];
        if (dot == NULL || !is_token(d->d_name, (size_t)(dot - d->d_name)) ||
            fstatat(dirfd(folder), d->d_name, &st, 0) != 0)
            continue;
        memcpy(e->token, d->d_name, BOX_TOKEN);
        e->token[BOX_TOKEN] = '\0';
        e->since = st.st_mtime;
        if (strcmp(dot, ".kept") == 0)
            n++;
        else
            sweep(dir, name, e, dot + 1);
    }
    closedir(folder);
    return n;
}

static int
older(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->since != y->since ? (x->since > y->since) - (x->since < y->since)
                                : strcmp(x->token, y->token);
}

size_t
box_store_list(const char *dir, const char *name, char tokens[][BOX_TOKEN + 1])
{
    struct entry entries[BOX_MESSAGES_MAX];
    size_t n = read_folder(dir, name, entries, BOX_MESSAGES_MAX);

    qsort(entries, n, sizeof *entries, older);
    if (n > BOX_LISTED_MAX)
        n = BOX_LISTED_MAX;
    for (size_t i = 0; i < n; i++)
        memcpy(tokens[i], entries[i].token, sizeof entries[i].token);
    return n;
}

bool
box_store_ask(const char *dir, const char *name, char token[BOX_TOKEN + 1])
{
    struct entry entries[BOX_MESSAGES_MAX];
    char path[BOX_PATH_MAX];

    if (!box_store_name(name) || !box_random(token, BOX_TOKEN / 2) ||
        read_folder(dir, name, entries, BOX_MESSAGES_MAX) == BOX_MESSAGES_MAX)
        return false;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)mkdir(path, 0700);
    if (!path_of(path, dir, name, token, "asked"))
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0 && close(fd) == 0;
}

/* --- a message -------------------------------------------------------------------------------- */

int
box_store_begin(const char *dir, const char *name, const char *token)
{
    char asked[BOX_PATH_MAX], part[BOX_PATH_MAX];

    if (!path_of(asked, dir, name, token, "asked") || !path_of(part, dir, name, token, "part") ||
        rename(asked, part) != 0)
        return -1;
    return open(part, O_WRONLY | O_TRUNC | O_CLOEXEC);
}

bool
box_store_end(const char *dir, const char *name, const char *token, bool keep)
{
    char part[BOX_PATH_MAX], kept[BOX_PATH_MAX], other[BOX_TOKEN + 1];

    if (!path_of(part, dir, name, token, "part"))
        return false;
    if (keep && box_random(other, BOX_TOKEN / 2) && path_of(kept, dir, name, other, "kept") &&
        rename(part, kept) == 0)
        return true;
    unlink(part);
    return false;
}

int
box_store_open(const char *dir, const char *name, const char *token, uint64_t *size)
{
    char path[BOX_PATH_MAX];
    struct stat st;
    int fd = path_of(path, dir, name, token, "kept") ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd >= 0 && fstat(fd, &st) == 0) {
        *size = (uint64_t)st.st_size;
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

bool
box_store_remove(const char *dir, const char *name, const char *token)
{
    char path[BOX_PATH_MAX];
    return path_of(path, dir, name, token, "kept") && unlink(path) == 0;
}
