# SPDX-License-Identifier: Apache-2.0
"""A web server on loopback that shows luci-app-algwatch in a stand-in for LuCI's shell.

The shell (shell/) is a small one of our own that keeps to LuCI's interfaces. Where ALGWATCH_LUCI
names a checkout of LuCI, the pages are shown by its own luci.js, ui.js, form.js and theme instead.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rpcd import ACL, APP, READER, WRITER, Rpcd

SHELL = Path(__file__).resolve().parent / "shell"
STATIC = "/luci-static/"
PAGES = "/cgi-bin/luci/admin/services/algwatch/"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
         ".png": "image/png"}  # fmt: skip
MENU = json.loads((APP / "root/usr/share/luci/menu.d/luci-app-algwatch.json").read_text())


def folders() -> list[Path]:
    luci = os.environ.get("ALGWATCH_LUCI")
    own = [APP / "htdocs/luci-static"]
    if not luci:
        return [*own, SHELL]
    return [*own, Path(luci, "modules/luci-base/htdocs/luci-static"),
            Path(luci, "themes/luci-theme-bootstrap/htdocs/luci-static")]  # fmt: skip


def rights(entry: dict[str, Any], session: str) -> tuple[bool, bool]:
    """Whether this account may open a page of the menu, and may only read there
    (check_acl_depends(), dispatcher.uc)."""
    granted = {"read", "write"} if session == WRITER else {"read"}
    groups = [granted & set(ACL[name]) for name in entry.get("depends", {}).get("acl", [])]
    return all(groups), bool(groups) and not any("write" in some for some in groups)


def tree(session: str) -> dict[str, Any]:
    """The menu as LuCI's dispatcher gives it to the browser."""
    root: dict[str, Any] = {"children": {}}
    for path, entry in MENU.items():
        node = root
        for name in path.split("/"):
            node = node.setdefault("children", {}).setdefault(
                name, {"title": name.capitalize(), "satisfied": True, "order": 1}
            )
        satisfied, readonly = rights(entry, session)
        node.update(entry, satisfied=satisfied, readonly=readonly)
    return root


def page(name: str, session: str) -> str:
    path = ["admin", "services", "algwatch", name]
    view = MENU["/".join(path)]["action"]["path"]
    env = {
        "media": "/luci-static/bootstrap", "resource": "/luci-static/resources",
        "scriptname": "/cgi-bin/luci", "pathinfo": "/" + "/".join(path), "documentroot": "/www",
        "requestpath": path, "dispatchpath": path, "pollinterval": 1, "ubuspath": "/ubus/",
        "sessionid": session, "token": "t", "apply_rollback": 90, "apply_holdoff": 1,
        "apply_timeout": 5, "apply_display": 1.5,
        "nodespec": {"satisfied": True, "readonly": session == READER, "title": name},
    }  # fmt: skip
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>router | {name}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/luci-static/bootstrap/cascade.css">
<link rel="stylesheet" media="only screen and (max-device-width: 854px)"
 href="/luci-static/bootstrap/mobile.css">
<script src="/cgi-bin/luci/admin/translations/en"></script>
<script src="/luci-static/resources/cbi.js"></script></head>
<body class="lang_en" data-page="{"-".join(path)}">
<header><a class="brand" href="/">OpenWrt</a>
<ul class="nav" id="topmenu" style="display:none"></ul>
<div id="indicators" class="pull-right"></div></header>
<div id="maincontent" class="container"><div id="tabmenu" style="display:none"></div>
<script src="/luci-static/resources/luci.js"></script>
<script>L = new LuCI({json.dumps(env).replace("/", chr(92) + "/")});</script>
<div id="view"><div class="spinning">Loading view…</div>
<script>L.require('ui').then(function(ui) {{ ui.instantiateView('{view}'); }});</script></div>
</div><footer><ul class="breadcrumb pull-right" id="modemenu" style="display:none"></ul></footer>
<script>L.require('menu-bootstrap')</script></body></html>"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        # The browser asks for the menu from its page.
        asked = self.path if path.startswith(PAGES) else self.headers.get("Referer", "")
        session = READER if asked.endswith("?reader") else WRITER
        entry = MENU.get(path.removeprefix("/cgi-bin/luci/"), {})
        if not rights(entry, session)[0]:
            self._send(403, "text/plain", b"Forbidden")
        elif path.startswith(PAGES):
            self._send(200, "text/html; charset=utf-8", page(path[len(PAGES) :], session).encode())
        elif path == "/cgi-bin/luci/admin/menu":
            self._send(200, "application/json", json.dumps(tree(session)).encode())
        elif path.startswith("/cgi-bin/luci/admin/translations"):
            self._send(200, "text/javascript", b"window.TR={};")
        elif path.startswith(STATIC):
            self._static(path[len(STATIC) :])
        else:
            self._send(404, "text/plain", b"")

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith(("/cgi-bin/luci/admin/ubus", "/ubus")):
            rpcd: Rpcd = self.server.rpcd  # type: ignore[attr-defined]
            self._send(200, "application/json", json.dumps(rpcd.answer(json.loads(data))).encode())
        else:
            self._send(200, "application/json", b"{}")

    def _static(self, name: str) -> None:
        for folder in folders():
            file = (folder / name).resolve()
            if file.is_relative_to(folder.resolve()) and file.is_file():
                kind = TYPES.get(file.suffix, "application/octet-stream")
                self._send(200, kind, file.read_bytes())
                return
        self._send(404, "text/plain", b"")

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    """url: of the pages, such as f"{url}status"; with ?reader for one who may not write."""

    daemon_threads = True

    def __init__(self, rpcd: Rpcd) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rpcd = rpcd
        self.url = f"http://127.0.0.1:{self.server_address[1]}{PAGES}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves in the middle is no fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
