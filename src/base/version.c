/* SPDX-License-Identifier: Apache-2.0 */
#include <mikeyticket/base.h>

const char *
mkt_version(void)
{
    return MKT_VERSION; /* from meson.build */
}
