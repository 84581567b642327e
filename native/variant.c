/* SPDX-License-Identifier: Apache-2.0 */
/* Which variant of the scanner this is. */
#include "runs.h"

const char *aw_variant(void) {
#ifdef AW_VECTOR
    return "sse2";
#else
    return "portable";
#endif
}
