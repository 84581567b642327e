# SPDX-License-Identifier: Apache-2.0
"""ipk, the packages of OpenWrt up to 24.10: a gzipped tar of debian-binary, data.tar.gz and
control.tar.gz, byte for byte the same whenever it is written (OpenWrt: scripts/ipkg-build)."""

from __future__ import annotations

import gzip
import io
import tarfile

from firmware.pack.tree import File, Package


def _tar(folders: list[str], files: list[tuple[str, File]], at: int) -> bytes:
    """A tar of paths below "./", by name, owned by root."""
    entries: list[tuple[str, File | None]] = [(path, None) for path in folders]
    entries += files
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, file in sorted(entries, key=lambda entry: entry[0]):
            info = tarfile.TarInfo("." + path)
            info.mtime = at
            if file is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif file.is_link:
                info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, file.data.decode()
            else:
                info.size, info.mode = len(file.data), file.mode
            tar.addfile(info, io.BytesIO(file.data) if file and not file.is_link else None)
    return made.getvalue()


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def control(package: Package, installed: int) -> str:
    """The control file. installed: bytes."""
    fields = {
        "Package": package.name,
        "Version": package.version,
        "Depends": ", ".join(["libc", *package.depends]),
        "Source": f"feeds/algwatch/{package.name}",
        "License": package.license,
        "Section": package.section,
        "Require-User": package.users,
        "SourceDateEpoch": str(package.at),
        "URL": package.url,
        "Maintainer": package.maintainer,
        "Architecture": package.arch,
        "Installed-Size": str(installed),
        "Description": package.description.replace("\n", "\n "),
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


POSTINST = """\
#!/bin/sh
[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0
. ${IPKG_INSTROOT}/lib/functions.sh
default_postinst $0 $@
"""
PRERM = """\
#!/bin/sh
[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0
. ${IPKG_INSTROOT}/lib/functions.sh
default_prerm $0 $@
"""


def write(package: Package) -> bytes:
    """The file's bytes."""
    data = _tar(["/", *package.folders()], list(package.sorted()), package.at)
    parts = {
        "/control": File(control(package, len(data)).encode()),
        "/postinst": File(POSTINST.encode(), 0o755),
        "/prerm": File(PRERM.encode(), 0o755),
    }
    files = [path for path in sorted(package.conffiles) if path in package.files]
    if files:
        parts["/conffiles"] = File("".join(f"{path}\n" for path in files).encode())
    for name, text in package.scripts.items():
        parts[f"/{name}"] = File(text.encode(), 0o755)
    whole = [
        ("/debian-binary", File(b"2.0\n")),
        ("/data.tar.gz", File(_gzip(data))),
        ("/control.tar.gz", File(_gzip(_tar(["/"], list(parts.items()), package.at)))),
    ]
    # In this order, which is not that of their names: opkg reads debian-binary first.
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, file in whole:
            info = tarfile.TarInfo("." + path)
            info.size, info.mode, info.mtime = len(file.data), file.mode, package.at
            tar.addfile(info, io.BytesIO(file.data))
    return _gzip(made.getvalue())


def file_name(package: Package) -> str:
    return f"{package.name}_{package.version}_{package.arch}.ipk"
