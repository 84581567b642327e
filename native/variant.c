/* Which variant of the scanner this is. */
#include "scanner.h"

const char *aw_variant(void) {
#ifdef AW_VECTOR
    return "sse2";
#else
    return "portable";
#endif
}
