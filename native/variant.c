/* Which variant of the scanner this CPU runs: the same question that the scanner asks. */
#include "scanner.h"

const char *aw_variant(void) {
#ifdef AW_CHOOSES
    if (aw_has_avx2()) return "avx2";
#endif
#ifdef AW_VECTOR
    return "sse2";
#else
    return "portable";
#endif
}
