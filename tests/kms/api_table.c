/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the table of endpoints as JSON, for tests that hold it against what is documented and
 * against what is expected. */
#include <stdio.h>

#include "api.h"

static const char *
word_of(enum kms_api_type type)
{
    static const char *const words[] = { "text", "secret", "number", "truth", "texts" };

    return words[type];
}

int
main(void)
{
    printf("[");
    for (size_t i = 0; i < kms_n_endpoints; i++) {
        const struct kms_endpoint *e = &kms_endpoints[i];
        const struct kms_api_field *f = e->fields;

        printf("%s\n {\"method\": \"%s\", \"path\": \"%s\", \"role\": \"%s\", \"action\": \"%s\", "
               "\"gives\": \"%s\", \"says\": \"%s\", \"octets\": %u, \"fields\": [",
               i == 0 ? "" : ",", e->method, e->path, kms_role_word(e->role),
               e->action == NULL ? "" : e->action, e->gives, e->says, e->octets);
        for (; f != NULL && f->name != NULL; f++)
            printf("%s{\"name\": \"%s\", \"type\": \"%s\", \"required\": %s, \"max\": %u}",
                   f == e->fields ? "" : ", ", f->name, word_of(f->type),
                   f->required ? "true" : "false", f->max);
        printf("]}");
    }
    puts("]");
    return 0;
}
