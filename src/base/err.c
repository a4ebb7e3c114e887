/* SPDX-License-Identifier: Apache-2.0 */
/* Error texts and wire numbers, from the one list in err.h. */
#include <mikeyticket/err.h>

#include <stdio.h>

static const struct {
    const char *name, *text;
    uint8_t wire;
} errors[MKT_RC_COUNT] = { [MKT_OK] = { "OK", "no error", MKT_ERR_UNSPECIFIED },
#define ROW(name, wire, text) [MKT_E_##name] = { #name, text, wire },
                           MKT_ERRORS(ROW)
#undef ROW
};

enum mkt_rc
mkt_fail(struct mkt_err *e, enum mkt_rc rc, size_t offset, const char *what, const char *ref)
{
    if (e->rc == MKT_OK)
        *e = (struct mkt_err){ rc, offset, what, ref };
    return e->rc;
}

static bool
known(enum mkt_rc rc)
{
    return (int)rc >= 0 && rc < MKT_RC_COUNT;
}

const char *
mkt_strerror(enum mkt_rc rc)
{
    return known(rc) ? errors[rc].text : "unknown error";
}

const char *
mkt_rc_name(enum mkt_rc rc)
{
    return known(rc) ? errors[rc].name : "UNKNOWN";
}

uint8_t
mkt_wire_error(enum mkt_rc rc)
{
    return known(rc) ? errors[rc].wire : MKT_ERR_UNSPECIFIED;
}

const char *
mkt_error_no_name(uint8_t error_no)
{
    static const char *const names[] = {
        "Auth failure", "Invalid TS",  "Invalid PRF",    "Invalid MAC",
        "Invalid EA",   "Invalid HA",  "Invalid DH",     "Invalid ID",
        "Invalid Cert", "Invalid SP",  "Invalid SPpar",  "Invalid DT",
        "Unspecified",  "Unsupported", "Invalid TICKET", "Invalid TPpar",
    };
    return error_no < sizeof names / sizeof names[0] ? names[error_no] : "unassigned";
}

size_t
mkt_err_format(const struct mkt_err *e, char *buf, size_t cap)
{
    int n = e->rc == MKT_OK ? snprintf(buf, cap, "%s", mkt_strerror(MKT_OK))
                            : snprintf(buf, cap, "octet %zu: %s: %s (%s)", e->offset, e->what,
                                       mkt_strerror(e->rc), e->ref);
    return n < 0 ? 0 : (size_t)n;
}
