/* SPDX-License-Identifier: Apache-2.0 */
/* What stat tells: a file that was replaced is another, one that was written to has another size or
 * time. */
#include "stamps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct kms_stamp {
    char *path;
    bool there;
    struct stat st;
};

static void
look(struct kms_stamp *x)
{
    x->there = stat(x->path, &x->st) == 0;
}

static bool
same_file(const struct kms_stamp *a, const struct kms_stamp *b)
{
    return a->st.st_ino == b->st.st_ino && a->st.st_dev == b->st.st_dev;
}

static bool
same(const struct kms_stamp *a, const struct kms_stamp *b)
{
    if (!a->there || !b->there)
        return a->there == b->there;
    return same_file(a, b) && a->st.st_size == b->st.st_size &&
           a->st.st_mtim.tv_sec == b->st.st_mtim.tv_sec &&
           a->st.st_mtim.tv_nsec == b->st.st_mtim.tv_nsec;
}

bool
kms_stamps_note(struct kms_stamps *s, const char *path)
{
    struct kms_stamp *grown = realloc(s->at, (s->n + 1) * sizeof *grown);
    char *copy = strdup(path);

    if (grown != NULL)
        s->at = grown;
    s->lost = s->lost || grown == NULL || copy == NULL;
    if (grown == NULL || copy == NULL) {
        free(copy);
        return false;
    }
    grown[s->n] = (struct kms_stamp){ .path = copy };
    look(&grown[s->n++]);
    return true;
}

bool
kms_stamps_again(const struct kms_stamps *s)
{
    const struct kms_stamp *last = &s->at[s->n - 1];

    for (const struct kms_stamp *x = s->at; x < last; x++)
        if (last->there && x->there && same_file(x, last))
            return true;
    return false;
}

bool
kms_stamps_changed(const struct kms_stamps *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct kms_stamp now = { .path = s->at[i].path };

        look(&now);
        if (!same(&s->at[i], &now))
            return true;
    }
    return s->lost;
}

void
kms_stamps_free(struct kms_stamps *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->at[i].path);
    free(s->at);
    *s = (struct kms_stamps){ 0 };
}
