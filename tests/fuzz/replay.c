/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one target on files, without libFuzzer: for coverage, and for CPUs that have none.
 * Arguments: files, or "-" for their names on standard input. */
#include "fuzz.h"
#include <stdio.h>

static size_t replay(const char *path) {
    static uint8_t data[FUZZ_ROOM];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 0;
    }
    const size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    return 1;
}

int main(int argc, char **argv) {
    char path[4096];
    size_t done = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-") != 0) {
            done += replay(argv[i]);
            continue;
        }
        while (fgets(path, sizeof path, stdin)) {
            path[strcspn(path, "\n")] = 0;
            done += replay(path);
        }
    }
    printf("%zu inputs\n", done);
    return done == 0;
}
