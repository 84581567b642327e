/* SPDX-License-Identifier: Apache-2.0 */
/* The rights that a process keeps once its sockets are open: CAP_NET_RAW, to open a ring again when
 * its interface comes back, and nothing else.
 *
 * Source: capabilities(7), capget(2), prctl(2); kernel/capability.c, security/commoncap.c.
 */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <linux/capability.h>

#include "native.h"

static int set(uint32_t effective, uint32_t permitted) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    memset(data, 0, sizeof data); /* no libc has a function for it, only libcap */
    data[0].effective = effective;
    data[0].permitted = permitted;
    return syscall(SYS_capset, &head, data) == 0 ? 0 : errno;
}

static int permitted_now(uint32_t *low) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    memset(data, 0, sizeof data);
    if (syscall(SYS_capget, &head, data) != 0) return errno;
    *low = data[0].permitted;
    return 0;
}

/* The set that an exec() could ever get back. A process without CAP_SETPCAP may not drop these, and
 * with no_new_privs it gets none of them either. */
static void empty_bounding_set(void) {
    int capability;

    for (capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        if (capability != CAP_NET_RAW) (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static int become(uint32_t uid, uint32_t gid) {
    /* Else the change from user 0 empties the permitted set (security/commoncap.c). */
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return errno;
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return errno;
    return 0;
}

int aw_privileges_drop(uint32_t uid, uint32_t gid) {
    const uint32_t raw = 1u << CAP_NET_RAW;
    uint32_t have = 0;
    int error = permitted_now(&have);

    if (error != 0) return error;
    empty_bounding_set();
    if (uid != AW_SAME_USER && (error = become(uid, gid)) != 0) return error;
    if ((error = set(have & raw, have & raw)) != 0) return error;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
}
