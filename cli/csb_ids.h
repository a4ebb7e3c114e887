/* SPDX-License-Identifier: Apache-2.0 */
/* The CSB IDs that the user of a cache has met, so that a new offer takes none of them (RFC 3830
 * 6.1). A file of the cache (docs/formats/cache-directory.md). */
#ifndef MKT_CLI_CSB_IDS_H
#define MKT_CLI_CSB_IDS_H

#include "cache.h"

#define CLI_CSB_IDS_MAX 1024 /* the newest are remembered */

/* cli_csb_ids_load fills ids, the oldest first; *n is 0 without a cache. */
MKT_MUST_USE bool cli_csb_ids_load(uint32_t ids[CLI_CSB_IDS_MAX], size_t *n,
                                   const struct cli_cache *c, struct cli_error *err);

/* cli_csb_ids_add remembers id. The directory is locked meanwhile, unless c has the lock already.
 */
MKT_MUST_USE bool cli_csb_ids_add(const struct cli_cache *c, uint32_t id, struct cli_error *err);

#endif
