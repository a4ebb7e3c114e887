/* SPDX-License-Identifier: Apache-2.0 */
/* What holds of sealed objects, whatever is in them. */
#ifndef MKT_FUZZ_SEALED_OBJECT_H
#define MKT_FUZZ_SEALED_OBJECT_H

#include <mikeyticket/base.h>

/* mkt_sealed_holds takes octets for an object of anyone's, for what one who has the key has sealed,
 * and for a content with damage done to it. NULL, or the property that does not hold. */
const char *mkt_sealed_holds(struct mkt_span octets);

#endif
