/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML document that an operator has written: read whole, every node with its place, so that each
 * complaint names file, line and column, and a wrong word the nearest right one. What the words
 * mean is the reader's business. */
#ifndef KMS_DOCUMENT_H
#define KMS_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

#define KMS_DOCUMENT_ERR 1024 /* octets for an error text */

struct kms_document {
    const char *name; /* of the file, for errors; borrowed */
    char *err;        /* KMS_DOCUMENT_ERR octets; borrowed */
    yaml_document_t doc;
    bool failed; /* err holds the first complaint; later ones are not kept */
};

/* kms_document_open reads the file at path, at most 1 MiB. kms_document_parse reads text instead,
 * which stands in the program and is called name. False: err says what is wrong, and there is
 * nothing to close. */
bool kms_document_open(struct kms_document *d, const char *path, char *err);
bool kms_document_parse(struct kms_document *d, const char *name, const char *text, char *err);
void kms_document_close(struct kms_document *d);

/* kms_document_root returns the mapping that the document is, or NULL with a complaint. */
const yaml_node_t *kms_document_root(struct kms_document *d, const char *expected);

/* kms_document_node returns the node with that number. */
const yaml_node_t *kms_document_node(struct kms_document *d, int number);

/* kms_document_text returns the text of a scalar without zero octets, else NULL with a complaint
 * that begins with `what`. */
const char *kms_document_text(struct kms_document *d, const yaml_node_t *node, const char *what);

/* kms_document_fail complains about what stands at mark (NULL: the first line). Returns false. */
bool kms_document_fail(struct kms_document *d, const yaml_mark_t *mark, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The names that are possible: fills name, or returns false after the last. Empty ones are skipped.
 */
typedef bool kms_names(const void *ctx, size_t i, char name[64]);

/* kms_document_unknown complains about a name that is not one of them, and says which was probably
 * meant. `what` is the kind of thing, such as "option". Returns false. */
bool kms_document_unknown(struct kms_document *d, const yaml_node_t *node, const char *what,
                          kms_names *names, const void *ctx);

/* kms_document_each calls take for each element of a list, or once for a scalar. False when one
 * call fails, or for an empty list or a mapping; `what` begins the complaint. */
typedef bool kms_take_node(void *ctx, const yaml_node_t *node);
bool kms_document_each(struct kms_document *d, const yaml_node_t *node, const char *what,
                       kms_take_node *take, void *ctx);

/* kms_document_pairs calls take for each line of a mapping. False when one call fails, when it is
 * no mapping, a name is given twice, or there are more than a thousand; `what` is in the complaint.
 */
typedef bool kms_take_pair(void *ctx, const char *name, const yaml_node_t *key,
                           const yaml_node_t *value);
bool kms_document_pairs(struct kms_document *d, const yaml_node_t *map, const char *what,
                        kms_take_pair *take, void *ctx);

#endif
