# SPDX-License-Identifier: Apache-2.0
"""apk v3, the packages of OpenWrt from 25.12 on: what the SDK's `apk mkpkg` writes for the same
files, byte for byte, without a signature.

Beside the files, OpenWrt keeps in lib/apk/packages/ what its scripts ask for: the list of files,
the configuration files with their sums, and the users (OpenWrt: include/package-pack.mk).
"""

from __future__ import annotations

import hashlib
import stat
import struct
import zlib
from pathlib import PurePosixPath

from firmware.pack import adb
from firmware.pack.tree import File, Package

SCHEMA = b"pckg"
UNIQUE_ID = 20  # bytes

_LOAD = """\
[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0
. ${IPKG_INSTROOT}/lib/functions.sh
export root="${IPKG_INSTROOT}"
"""
# In the order of the format's slots.
SCRIPTS = ("trigger", "pre-install", "post-install", "pre-deinstall", "post-deinstall",
           "pre-upgrade", "post-upgrade")  # fmt: skip


def scripts(package: Package) -> dict[str, str]:
    """OpenWrt's scripts: they add the user, run uci-defaults, enable and start the service."""
    name = f'export pkgname="{package.name}"\n'
    own = package.scripts.get("postinst-pkg", "").removeprefix("#!/bin/sh\n")
    install = (
        '[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0\n' + _LOAD + name
        + "add_group_and_user\ndefault_postinst\n" + own
    )  # fmt: skip
    return {
        "post-install": "#!/bin/sh\n" + install,
        "pre-deinstall": "#!/bin/sh\n" + _LOAD + name + "default_prerm\n",
        "post-upgrade": "#!/bin/sh\nexport PKG_UPGRADE=1\n" + install,
    }


def with_lists(package: Package) -> dict[str, File]:
    """The files of the package and those that OpenWrt keeps about it."""
    base = f"/lib/apk/packages/{package.name}"
    files = dict(package.files)
    if package.users:
        files[f"{base}.rusers"] = File(f"{package.users}\n".encode())
    files[f"{base}.list"] = File("".join(f"{path}\n" for path in sorted(files)).encode())
    if package.conffiles:
        listed = "".join(f"{path}\n" for path in package.conffiles)
        files[f"{base}.conffiles"] = File(listed.encode())
        sums = "".join(
            f"{path} {hashlib.sha256(files[path].data).hexdigest()}\n"
            for path in package.conffiles
            if path in files
        )
        if sums:
            files[f"{base}.conffiles_static"] = File(sums.encode())
    return files


def _by_folder(files: dict[str, File]) -> dict[str, dict[str, File]]:
    """Files by name in each folder ("" is the root), all sorted as bytes are."""
    folders: dict[str, dict[str, File]] = {"": {}}
    for path, file in files.items():
        above = PurePosixPath(path).parent
        for folder in (above, *above.parents):
            folders.setdefault(str(folder).lstrip("/"), {})
        folders[str(above).lstrip("/")][PurePosixPath(path).name] = file
    return {
        folder: dict(sorted(inside.items(), key=lambda item: item[0].encode()))
        for folder, inside in sorted(folders.items(), key=lambda item: item[0].encode())
    }


def _acl(made: adb.Database, mode: int) -> int:
    return made.object([made.integer(mode), made.blob("root"), made.blob("root")])


def _file(made: adb.Database, name: str, file: File, at: int) -> int:
    slot = made.blob(name)
    digest = adb.NULL if file.is_link else made.blob(hashlib.sha256(file.data).digest())
    target = adb.NULL
    if file.is_link:
        target = made.blob(struct.pack("<H", stat.S_IFMT(file.mode)) + file.data)
    when, size = made.integer(at), made.integer(len(file.data))
    acl = _acl(made, stat.S_IMODE(file.mode))
    return made.object([slot, acl, size, when, digest, target])


def _folder(made: adb.Database, name: str, files: dict[str, File], at: int) -> int:
    entries = [_file(made, inside, file, at) for inside, file in files.items()]
    slot = made.blob(name)
    acl = _acl(made, 0o755)
    return made.object([slot, acl, made.object(entries)])


def _info_texts(made: adb.Database, package: Package) -> tuple[list[int], int]:
    """(the texts of the info object, its dependencies): they are written before the files."""
    arch = "noarch" if package.arch == "all" else package.arch
    texts = [
        made.blob(text)
        for text in (package.name, package.version, " ".join(package.description.split()), arch,
                     package.license, f"feeds/algwatch/{package.name}", package.maintainer,
                     package.url)
    ]  # fmt: skip
    names = ["libc", *package.depends]
    written = {name: made.object([made.blob(name)]) for name in names}
    return texts, made.object([written[name] for name in sorted(names, key=str.encode)])


def write(package: Package) -> bytes:
    """The file's bytes."""
    files = with_lists(package)
    folders = _by_folder(files)
    made = adb.Database()
    (name, version, *about), depends = _info_texts(made, package)
    paths = [_folder(made, name, inside, package.at) for name, inside in folders.items()]
    installed = made.integer(
        sum(len(file.data) for file in files.values() if not file.is_link) or 1
    )
    unique = made.blob(bytes(UNIQUE_ID), once=False)
    # Slots 10, 11, 13 and 14 (commit, build time, file size, priority) stay empty.
    rest = [adb.NULL, adb.NULL, installed, adb.NULL, adb.NULL, depends]
    info = made.object([name, version, unique, *about, *rest])
    given = scripts(package)
    whole = [info, made.object(paths)]
    whole.append(made.object([made.blob(given.get(kind, "")) for kind in SCRIPTS]))
    made.root(made.object(whole))
    place = (unique & 0x0FFFFFFF) + 1
    made.data[place : place + UNIQUE_ID] = hashlib.sha256(made.data).digest()[:UNIQUE_ID]

    out = bytearray(b"ADB." + SCHEMA + adb.block(adb.ADB, bytes(made.data)))
    for folder, inside in enumerate(folders.values(), 1):
        for number, file in enumerate(inside.values(), 1):
            if file.data and not file.is_link:
                head = struct.pack("<II", folder, number)
                out += adb.block(adb.DATA, head + file.data)
    return b"ADBd" + _deflate(bytes(out))


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 8)
    return packer.compress(data) + packer.flush()


def file_name(package: Package) -> str:
    return f"{package.name}-{package.version}.apk"
