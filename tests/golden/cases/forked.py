# SPDX-License-Identifier: Apache-2.0
"""Golden cases of forked calls (DLG011), of odd ACKs on one hop (TXN008), and near misses."""

from __future__ import annotations

from craft import LADDER_2XX, START, House, Outgoing, answer, frame, register, request

from cases.case import ALG, DLG, case

# ---- DLG011: other phones that take the call (RFC 3261 section 13.2.2.4) ----

NO = [*DLG, "DLG003", "DLG005", "DLG006", "DLG008", "TXN003", *ALG]
SECOND = "sip:302@203.0.113.7:5060"


class Forked(Outgoing):
    """A call of the phone that two phones take: the one of Outgoing, and a second one."""

    def second(self, at: float, status: int = 200) -> None:
        made = answer(status, self.seen, to_tag="second", contact=f"<{SECOND}>")
        self.house.into(at, made)

    def ask_second(self, method: str, cseq: int, at: float) -> bytes:
        made = self._request(method, cseq, SECOND, ";tag=second", branch=f"{method}2")
        return self.house.out(at, made)

    def bye_second(self, at: float) -> None:
        self.house.into(at + 0.03, answer(200, self.ask_second("BYE", 2, at)))

    def second_hangs_up(self, at: float, status: int) -> None:
        made = self.from_far("BYE", 7).replace(f"tag={self._tag}".encode(), b"tag=second")
        made = made.replace(b"z9hG4bKf", b"z9hG4bKs")
        self.house.out(at + 0.02, answer(status, self.house.into(at, made)))


def _forked() -> tuple[House, Forked]:
    house = House()
    register(house, 0)
    call = Forked(house, "forked@phone")
    call.invite(1)
    call.respond(1.2, 180)
    call.second(1.3, 180)
    call.ok(3)
    call.ack(3.02)
    call.second(3.1)
    call.ask_second("ACK", 1, 3.12)
    return house, call


@case("dlg011-left-without-bye", [("DLG011", "phone", "latent")], NO)
def _() -> House:
    """Two phones take the call and each is acknowledged; the caller talks to the first for a minute
    and hangs up. The second never gets a BYE."""
    house, call = _forked()
    call.bye(60)
    register(house, 120, n=2)
    return house


@case("dlg011-forgotten", [("DLG011", "phone", "observed")], NO, {"phone-fix": "recommended"})
def _() -> House:
    """The same, and the user of the second phone hangs up in vain: the caller answers 481."""
    house, call = _forked()
    call.bye(60)
    call.second_hangs_up(80, 481)
    return house


@case("dlg011-forgotten-and-long-over", [("DLG011", "phone", "observed")], NO,
      {"phone-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The same, and the capture goes on: the call is judged when it is closed."""
    house, call = _forked()
    call.bye(60)
    call.second_hangs_up(80, 481)
    register(house, 120, n=2)
    return house


@case("dlg011-near-miss-ack-and-bye", must_not=["DLG011", *NO])
def _() -> House:
    """The caller acknowledges the second phone and ends that dialog at once."""
    house, call = _forked()
    call.bye_second(3.3)
    call.bye(60)
    register(house, 120, n=2)
    return house


@case("dlg011-near-miss-first-ended-at-once", must_not=["DLG011", *NO])
def _() -> House:
    """The caller ends the dialog with the first phone at once and talks to the second one."""
    house, call = _forked()
    call.bye(3.4)
    register(house, 60, n=2)
    call.bye_second(100)
    return house


@case("dlg011-near-miss-second-hangs-up", must_not=["DLG011", *NO])
def _() -> House:
    """The second phone hangs up 20 s after the first dialog is over, and the caller agrees."""
    house, call = _forked()
    call.bye(60)
    call.second_hangs_up(80, 200)
    register(house, 140, n=2)
    return house


@case("dlg011-near-miss-capture-ends", must_not=["DLG011", *NO])
def _() -> House:
    """The capture ends 10 s after the BYE to the first phone: too early to miss the other one."""
    house, call = _forked()
    call.bye(60)
    register(house, 70, n=2)
    return house


@case("dlg011-near-miss-early-dialogs", must_not=["DLG011", *NO])
def _() -> House:
    """Three phones ring (early dialogs), one of them takes the call, the proxy cancels the others:
    their provisional responses need neither ACK nor BYE."""
    house = House()
    register(house, 0)
    call = Forked(house, "rings@phone")
    call.invite(1)
    call.respond(1.1, 100)
    call.respond(1.2, 180)
    call.second(1.3, 180)
    call.second(1.9, 183)
    call.ok(3)
    call.ack(3.02)
    call.bye(20)
    return house


# ---- taken at a proxy: every message on two hops ----

CALLER, PROXY, CALLEE, OTHER = "198.51.100.2", "203.0.113.5", "203.0.113.90", "203.0.113.91"


class Proxied:
    """CALLER calls through PROXY, which records itself; both hops are captured."""

    def __init__(self) -> None:
        self.house = House()
        self._ident = iter(range(1, 200))

    def send(self, at: float, payload: bytes, src: str, dst: str) -> bytes:
        made = frame(payload, src, 5060, dst, 5060, 64, next(self._ident))
        self.house.wan.append(((START * 1_000_000 + round(at * 1_000_000)) * 1000, made))
        return payload

    def relay(self, at: float, payload: bytes, dst: str, branch: str) -> bytes:
        """A request by way of the proxy, which puts its Via on top."""
        self.send(at, payload, CALLER, PROXY)
        via = f"Via: SIP/2.0/UDP {PROXY}:5060;branch=z9hG4bK{branch}\r\nVia:"
        return self.send(at + 0.004, payload.replace(b"Via:", via.encode(), 1), PROXY, dst)

    def back(self, at: float, status: int, to: bytes, src: str, tag: str = "far") -> None:
        made = answer(status, to, to_tag=tag, contact=f"<sip:300@{src}:5060>")
        self.send(at, made, src, PROXY)
        lines = made.split(b"\r\n")
        lines.remove(next(line for line in lines if line.startswith(b"Via:")))
        self.send(at + 0.004, b"\r\n".join(lines), PROXY, CALLER)

    @staticmethod
    def ask(method: str, cseq: int, tag: str, dst: str = CALLEE, branch: str = "") -> bytes:
        return request(
            method, f"sip:300@{dst}:5060", via=f"{CALLER}:5060",
            branch=f"z9hG4bKnear-{branch or method.lower()}-{tag[5:]}", call_id="hops@caller",
            cseq=cseq, caller="<sip:100@example.net>;tag=near",
            callee=f"<sip:300@example.net>{tag}", contact=f"<sip:100@{CALLER}:5060>",
        )  # fmt: skip

    def call(self, ack_branch: str = "hop-ack", own_branch: str = "ack") -> House:
        invite = self.relay(1, self.ask("INVITE", 1, ""), CALLEE, "hop-invite")
        self.back(1.2, 180, invite, CALLEE)
        self.back(3, 200, invite, CALLEE)
        ack = self.ask("ACK", 1, ";tag=far", branch=own_branch)
        if own_branch == "invite":
            ack = ack.replace(b"z9hG4bKnear-invite-far", b"z9hG4bKnear-invite-")
        self.relay(3.1, ack, CALLEE, ack_branch)
        bye = self.relay(20, self.ask("BYE", 2, ";tag=far"), CALLEE, "hop-bye")
        self.back(20.03, 200, bye, CALLEE)
        return self.house


NO_DLG = [*DLG, "DLG003", "DLG005", "DLG006", "DLG011"]


@case("txn008-one-hop-reuses-the-branch", [("TXN008", "unknown", "latent")], [*NO_DLG, *ALG],
      one_file="wan")  # fmt: skip
def _() -> House:
    """Taken at a proxy, which sends the ACK on with the branch of its own INVITE; on the hop before
    the ACK is right. It is acknowledged, and the fault is told."""
    return Proxied().call(ack_branch="hop-invite")


@case("txn008-first-hop-reuses-the-branch", [("TXN008", "unknown", "latent")], [*NO_DLG, *ALG],
      one_file="wan")  # fmt: skip
def _() -> House:
    """The caller's own ACK has the branch of its INVITE, and the proxy's is right."""
    return Proxied().call(own_branch="invite")


@case("txn008-near-miss-both-hops", must_not=["TXN008", *NO_DLG, *ALG], one_file="wan")
def _() -> House:
    """The ACK is right on both hops."""
    return Proxied().call()


@case("dlg011-near-miss-forked-at-a-proxy", must_not=["DLG011", *NO_DLG, "TXN008", *ALG],
      one_file="wan")  # fmt: skip
def _() -> House:
    """Taken at a proxy that forks: two phones take the call, every message is there twice, and the
    caller acknowledges both and ends the second dialog at once."""
    at = Proxied()
    first = at.relay(1, at.ask("INVITE", 1, ""), CALLEE, "hop1")
    via = f"Via: SIP/2.0/UDP {PROXY}:5060;branch=z9hG4bKhop2\r\nVia:"
    second = at.ask("INVITE", 1, "").replace(b"Via:", via.encode(), 1)
    at.send(1.005, second, PROXY, OTHER)
    at.back(1.2, 180, first, CALLEE)
    at.back(1.3, 180, second, OTHER, "other")
    at.back(3, 200, first, CALLEE)
    at.back(3.01, 200, second, OTHER, "other")
    at.relay(3.1, at.ask("ACK", 1, ";tag=far"), CALLEE, "hop-ack1")
    at.relay(3.12, at.ask("ACK", 1, ";tag=other", OTHER), OTHER, "hop-ack2")
    bye = at.relay(3.14, at.ask("BYE", 2, ";tag=other", OTHER), OTHER, "hop-bye2")
    at.back(3.2, 200, bye, OTHER, "other")
    bye = at.relay(60, at.ask("BYE", 3, ";tag=far"), CALLEE, "hop-bye1")
    at.back(60.03, 200, bye, CALLEE)
    return at.house


# ---- an INVITE that is repeated to the end at both phones: each 2xx is of its own ----


@case("dlg011-both-unacknowledged", [("DLG011", "phone", "observed"),
                                     ("DLG001", "phone", "observed")],
      ["DLG002", "DLG004", *ALG], {"phone-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """Two phones take the call, and the caller acknowledges neither."""
    house = House()
    register(house, 0)
    call = Forked(house, "mute@phone")
    call.invite(1)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
        call.second(3.1 + after)
    call.far_bye(35.6)
    return house
