/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of `peers`: other KMSs, each a mapping with options of its own. */
#ifndef KMS_CONFIG_PEERS_H
#define KMS_CONFIG_PEERS_H

#include "config.h"
#include "document.h"

/* kms_config_peer adds the entry `map` to c->peers. False: the document has the complaint. */
bool kms_config_peer(struct kms_config *c, struct kms_document *doc, const yaml_node_t *map);

/* kms_config_peers_check returns what is wrong with all peers together, in err (cap octets), or
 * NULL: none is this KMS itself, and no two speak for one domain. */
const char *kms_config_peers_check(const struct kms_config *c, char *err, size_t cap);

/* kms_domain_of writes the domain of an identity in lower case, without a dot at its end. False:
 * it has none. */
bool kms_domain_of(struct mkt_identity id, char out[KMS_NAME_MAX]);

#endif
