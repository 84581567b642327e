# SPDX-License-Identifier: Apache-2.0
"""The programs of an OpenWrt router, by the name that they were called with. The environment says
where: OPENWRT_ROOT, and of which release: OPENWRT_RELEASE (21.02 has fw3; 24.10 and later know
/var/run/uci)."""

from __future__ import annotations

import os
import sys

from openwrt import uci, uci_command
from openwrt.firewall import Firewall
from openwrt.uci import NotKnown

# Hundreds of them are started, so each loads json only where it needs it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Words = list[str]


class Programs:
    def __init__(self, root: str, release: str) -> None:
        self.root = root
        self.release = tuple(int(part) for part in release.split("."))
        self.fw3 = self.release < (22, 3)
        self.uci = uci.Uci(root, self.release >= (24, 10))
        self._live = f"{root}/run/live.json"
        self._state = f"{root}/var/run/fw{3 if self.fw3 else 4}.state"

    def run(self, name: str, words: Words) -> int:
        if name == "uci":
            return uci_command.run(words, self.uci)
        if name in ("fw3", "fw4"):
            return self._firewall(name, words)
        if name == "firewall":  # /etc/init.d/firewall
            if words not in (["reload"], ["restart"]):
                raise NotKnown(f"/etc/init.d/firewall {words}")
            return self._reload()
        if name == "nft" and not self.fw3:
            return self._nft(words)
        if name in ("iptables", "ip6tables", "iptables-save", "ip6tables-save") and self.fw3:
            return self._iptables(name, words)
        if name == "ubus" and words[-3:] == ["call", "network.interface", "dump"]:
            with open(f"{self.root}/run/networks.json") as file:
                print(file.read())
            return 0
        if name == "ip":
            return self._ip(words)
        if name == "conntrack":
            with open(f"{self.root}/run/conntrack.log", "a") as file:
                file.write(" ".join(words) + "\n")
            return 1  # nothing was deleted
        raise NotKnown(f"{name} on this release")

    def _firewall(self, name: str, words: Words) -> int:
        quiet = words[:1] == ["-q"]
        words = words[quiet:]
        if name == "fw4" and self.fw3:
            return 127
        family = 6 if self.fw3 and words[:1] == ["-6"] else 4
        words = words[1:] if self.fw3 and words[:1] in (["-4"], ["-6"]) else words
        if words == ["print"]:
            print(self._printed(family), end="")
        elif words == ["check"] and not self.fw3:
            wrong = self._broken()
            if not quiet:
                print(f"Error: {wrong}" if wrong else "Ruleset passes nftables check.")
            return 1 if wrong else 0
        elif words == ["reload"]:
            return self._reload()
        elif len(words) == 2 and words[0] == "device":
            return self._device(words[1])
        else:
            raise NotKnown(f"{name} {words}")
        return 0

    def _printed(self, family: int) -> str:
        made = Firewall(self.uci, self.fw3)
        if self.fw3:
            program = "ip6tables" if family == 6 else "iptables"
            return "".join(f"{program} -t raw {line}\n" for line in made.iptables(family))
        text = "table inet fw4\nflush table inet fw4\n\ntable inet fw4 {\n"
        for name, proto in made.objects():
            text += f'\tct helper {name} {{\n\t\ttype "{name}" protocol {proto};\n\t}}\n\n'
        for chain, rules in made.chains().items():
            text += f"\tchain {chain} {{\n"
            text += "".join(f'\t\t{rule} comment "!fw4: of the stand-in"\n' for rule, _ in rules)
            text += "\t}\n\n"
        return text + "}\n"

    def _broken(self) -> str:
        """The error of nft for this ruleset, or for a file that holds the word "broken"."""
        if error := Firewall(self.uci, self.fw3).error:
            return error
        where = f"{self.root}/etc/nftables.d"
        for name in sorted(os.listdir(where)):
            with open(f"{where}/{name}") as file:
                if "broken" in file.read():
                    return f"syntax error in {name}"
        return ""

    def _device(self, device: str) -> int:
        import json

        try:
            with open(self._state) as file:
                zones: list[list[Any]] = json.load(file)
        except FileNotFoundError:
            return 1
        for name, devices in zones:
            if device in devices:
                print(name)
                return 0
        return 1

    def start(self) -> None:
        """As the init script at boot."""
        import json

        made = Firewall(self.uci, self.fw3)
        state = [[zone.name, zone.devices] for zone in made.zones]
        live: dict[str, Any] = {"zones": len(made.zones)}
        if self.fw3:
            live |= {str(family): list(made.iptables(family)) for family in (4, 6)}
        else:
            handle = 0
            live |= {"objects": made.objects(), "chains": {}}
            for chain, rules in made.chains().items():
                live["chains"][chain] = []
                for text, tree in rules:
                    handle += 1
                    live["chains"][chain].append({"handle": handle, "text": text, "expr": tree})
        self._write(live)
        with open(self._state, "w") as file:
            json.dump(state, file)

    def _write(self, live: object) -> None:
        import json

        with open(self._live, "w") as file:
            json.dump(live, file)

    def live(self) -> dict[str, Any]:
        import json

        with open(self._live) as file:
            live: dict[str, Any] = json.load(file)
        return live

    def _reload(self) -> int:
        if not os.path.exists(self._state):
            if self.fw3:
                self.start()
                return 0
            print("The fw4 firewall does not appear to be loaded.", file=sys.stderr)
            return 1
        fails = os.path.exists(f"{self.root}/run/reload-fails")  # of a test: nft refuses it
        if not fails and (self.fw3 or not self._broken()):
            self.start()
        return 0

    def _nft(self, words: Words) -> int:
        live = self.live()
        handles = "-a" in words
        if words[:2] == ["-j", "list"] or words[:3] in (["-j", "-a", "list"], ["-a", "-j", "list"]):
            if words[-1] != "ruleset":
                raise NotKnown(f"nft {words}")
            import json

            print(json.dumps(self._tree(live)))
            return 0
        words = [word for word in words if word != "-a"]
        if words == ["list", "table", "inet", "fw4"]:
            chains = list(live["chains"])
        elif words[:4] == ["list", "chain", "inet", "fw4"] and len(words) == 5:
            chains = words[4:]
        elif words[:4] == ["delete", "rule", "inet", "fw4"] and words[5:6] == ["handle"]:
            rules = live["chains"].get(words[4], [])
            left = [rule for rule in rules if rule["handle"] != int(words[6])]
            if len(left) == len(rules):
                print("Error: Could not process rule: No such file or directory", file=sys.stderr)
                return 1
            live["chains"][words[4]] = left
            self._write(live)
            return 0
        elif words[:4] == ["insert", "rule", "inet", "fw4"] and words[4] in live["chains"]:
            number = 1 + max(
                (rule["handle"] for rules in live["chains"].values() for rule in rules), default=0
            )
            new = {"handle": number, "text": " ".join(words[5:]), "expr": []}
            live["chains"][words[4]].insert(0, new)
            self._write(live)
            return 0
        else:
            raise NotKnown(f"nft {words}")
        if not set(chains) <= set(live["chains"]):
            print("Error: No such file or directory", file=sys.stderr)
            return 1
        print("table inet fw4 {")
        for chain in chains:
            print(f"\tchain {chain} {{")
            for rule in live["chains"][chain]:
                print(f"\t\t{rule['text']}" + (f" # handle {rule['handle']}" if handles else ""))
            print("\t}")
        print("}")
        return 0

    def _tree(self, live: dict[str, Any]) -> dict[str, Any]:
        rows: list[dict[str, Any]] = [
            {"metainfo": {"version": "1.0.9", "json_schema_version": 1}},
            {"table": {"family": "inet", "name": "fw4", "handle": 1}},
        ]
        common = {"family": "inet", "table": "fw4"}
        for name, proto in live["objects"]:
            rows.append({"ct helper": {**common, "name": name, "type": name, "protocol": proto}})
        for chain in live["chains"]:
            rows.append({"chain": {**common, "name": chain}})
        for chain, rules in live["chains"].items():
            for rule in rules:
                more = {"chain": chain, "handle": rule["handle"], "expr": rule["expr"]}
                rows.append({"rule": {**common, **more}})
        return {"nftables": rows}

    def _iptables(self, name: str, words: Words) -> int:
        lines: Words = self.live()["6" if name.startswith("ip6") else "4"]
        if name.endswith("-save"):
            if words not in ([], ["-t", "raw"]):
                raise NotKnown(f"{name} {words}")
            print("*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]")
            for line in lines:
                print(f":{line[3:]} - [0:0]" if line.startswith("-N ") else line)
            print("COMMIT")
            return 0
        if words[:3] == ["-t", "raw", "-S"] and len(words) <= 4:
            chain = words[3:]
            shown = [line for line in lines if not chain or line.split()[1] == chain[0]]
            if chain and not shown:
                return 1
            print("\n".join(shown))
            return 0
        if words[:3] == ["-t", "raw", "-I"]:
            live = self.live()
            first = next(i for i, line in enumerate(lines) if line.startswith("-A"))
            lines.insert(first, " ".join(["-A", *words[3:]]))
            live["6" if name.startswith("ip6") else "4"] = lines
            self._write(live)
            return 0
        raise NotKnown(f"{name} {words}")

    def _ip(self, words: Words) -> int:
        """`ip route get ADDRESS`, as busybox prints it; run/routes: ADDRESS DEVICE a line."""
        if len(words) != 3 or words[:2] != ["route", "get"]:
            raise NotKnown(f"ip {words}")
        with open(f"{self.root}/run/routes") as file:
            routes = dict(line.split() for line in file)
        device = routes.get(words[2])
        if device is None:
            print("ip: RTNETLINK answers: Network is unreachable", file=sys.stderr)
            return 2
        source = " from ::" if ":" in words[2] else ""
        print(f"{words[2]}{source} dev {device}  src 192.168.1.1 ")
        return 0


def main() -> int:
    name = os.path.basename(sys.argv[0])
    programs = Programs(os.environ["OPENWRT_ROOT"], os.environ.get("OPENWRT_RELEASE", "24.10"))
    try:
        return programs.run(name, sys.argv[1:])
    except NotKnown as what:
        print(f"stand-in: not known: {what}", file=sys.stderr)
        return 99
