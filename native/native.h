/* SPDX-License-Identifier: Apache-2.0 */
/* The declarations of algwatch_native.h and algwatch_live.h, which have no guard, with what they
 * need. */
#ifndef AW_NATIVE_H
#define AW_NATIVE_H

#include <stddef.h>
#include <stdint.h>
#include "algwatch_native.h"
#include "algwatch_live.h"

#endif
