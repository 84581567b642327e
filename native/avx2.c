/* The plain way once more, for x86-64 CPUs with AVX2: 32 bytes at a time instead of 16. The same
 * files, compiled for them and under other names; sip_scan.c and sdp_scan.c choose at run time. */
#if defined(__x86_64__) && !defined(AW_PORTABLE) && !defined(AW_NO_AVX2)
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx2,bmi,bmi2")
#endif
#pragma GCC visibility push(hidden)

#define AW_AVX2 1
#define aw_plain_start_line aw_plain_start_line_avx2
#define aw_plain_uri aw_plain_uri_avx2
#define aw_plain_addr aw_plain_addr_avx2
#define aw_plain_via aw_plain_via_avx2
#define aw_sip_scan aw_sip_scan_avx2
#define aw_sdp_scan aw_sdp_scan_avx2

#include "sip_start.c"
#include "sip_addr.c"
#include "sip_via.c"
#include "sip_scan.c"
#include "sdp_scan.c"

#pragma GCC visibility pop
#ifdef __clang__
#pragma clang attribute pop
#endif
#else
typedef int aw_no_avx2; /* a file of C has something in it */
#endif
