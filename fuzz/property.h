/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold for any octets whatever. Fuzz targets and unit tests share these functions, so
 * that every test run walks the same properties on a fixed set of damaged messages. */
#ifndef MKT_FUZZ_PROPERTY_H
#define MKT_FUZZ_PROPERTY_H

#include <stddef.h>
#include <stdint.h>

enum mkt_prop { MKT_PROP_PAYLOAD, MKT_PROP_MESSAGE, MKT_PROP_MAP };

/* Each returns NULL when the property holds, else what was broken (static string). */

/* A payload of that type is refused with a reason, or written back as the same octets. */
const char *mkt_prop_payload(uint16_t type, const uint8_t *data, size_t n);

/* The same for a whole message; its MAC coverage lies inside it. */
const char *mkt_prop_wire(const uint8_t *data, size_t n);

/* The same, and its printed form is JSON: several times the work. */
const char *mkt_prop_message(const uint8_t *data, size_t n);

/* The same with the first two octets replaced by version 1 and that data type. */
const char *mkt_prop_message_of(uint8_t data_type, const uint8_t *data, size_t n);

/* data is a map type, #CS and a CS ID map info. */
const char *mkt_prop_map(const uint8_t *data, size_t n);

/* One of the above. */
const char *mkt_prop_run(enum mkt_prop kind, uint16_t value, const uint8_t *data, size_t n);

#endif
