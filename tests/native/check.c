/* SPDX-License-Identifier: Apache-2.0 */
/* Runs every check of the native code; arguments are files with one SIP message each. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "algwatch_native.h"
#include "guard.h"

int main(int argc, char **argv) {
    check_sip();
    check_frames();
    check_sums();
    check_rtp();
    check_ring();
    for (int i = 1; i < argc; i++) check_sip_file(argv[i]);
    printf("native checks passed, %d files, %s\n", argc - 1, aw_variant());
    return 0;
}
