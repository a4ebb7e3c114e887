/* SPDX-License-Identifier: Apache-2.0 */
/* Marks for valgrind: with MKT_CT_VALGRIND a branch on a secret becomes an error (tests/ct). */
#ifndef MKT_BASE_CT_H
#define MKT_BASE_CT_H

#if defined(MKT_CT_VALGRIND)
#include <valgrind/memcheck.h>
#define MKT_CT_SECRET(p, n) VALGRIND_MAKE_MEM_UNDEFINED(p, n)
#define MKT_CT_PUBLIC(p, n) VALGRIND_MAKE_MEM_DEFINED(p, n)
#else
#define MKT_CT_SECRET(p, n) ((void)(p), (void)(n))
#define MKT_CT_PUBLIC(p, n) ((void)(p), (void)(n))
#endif

#endif
