/* What every file of the scanner includes: once, because avx2.c takes several of them together. */
#ifndef AW_SCANNER_H
#define AW_SCANNER_H

#include <stddef.h>
#include <stdint.h>
#include "algwatch_native.h"
#include "scan.h"

#endif
