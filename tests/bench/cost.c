/* SPDX-License-Identifier: Apache-2.0 */
/* Run a program and say what it cost: "user-seconds system-seconds peak-kB status" on
 * file descriptor 3. A program of its own, because the kernel counts the memory of whoever
 * forks into the peak of the child (exec: setmax_mm_hiwater_rss), and Python is large. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct rusage usage;
    int status = 0;
    pid_t child;
    if (argc < 2) return 2;
    child = fork();
    if (child < 0) return 2;
    if (child == 0) {
        close(3);
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    if (wait4(child, &status, 0, &usage) != child) return 2;
    dprintf(3, "%ld.%06ld %ld.%06ld %ld %d\n", (long)usage.ru_utime.tv_sec,
            (long)usage.ru_utime.tv_usec, (long)usage.ru_stime.tv_sec, (long)usage.ru_stime.tv_usec,
            usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
