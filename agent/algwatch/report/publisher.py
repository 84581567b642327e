# SPDX-License-Identifier: Apache-2.0
"""From findings and advice to messages in the outbox: the daemon's one door to MQTT."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic

from algwatch.advise.advice import Advice
from algwatch.compare.line import ends_of
from algwatch.diagnose.finding import HURTS, Finding
from algwatch.report.allowance import HARM, HARMLESS, HEALTH, Allowance
from algwatch.report.broker import Broker
from algwatch.report.encode import Encoder, bare
from algwatch.report.mqtt import Link
from algwatch.report.outbox import GRACE, Outbox, Outgoing
from algwatch.report.repeats import Repeats, name_of
from algwatch.report.session import EVERY
from algwatch.report.tally import Tally
from algwatch.report.wire import topic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.report.flash import Flash
    from algwatch.report.hears import Hears
    from algwatch.report.spool import Spool

STRANGERS = "strangers"  # all phones without dealings with a provider, together
# The encoding of msgpack.
_HARMS = [b"\xa4harm" + bytes((0xA0 | len(harm),)) + harm.encode() for harm in HURTS]
ALL, HURTING, STATE = "all", "harm", "state"  # levels of reports


class Publisher:
    """wall: seconds since 1970. about: fields of the birth message about this agent. health_expiry:
    seconds; an older health report is worthless. tally: counters for health reports. daily: bytes
    to send a day. level: the reports to send, a word below. Other arguments as in Link."""

    def __init__(
        self,
        broker: Broker,
        encoder: Encoder,
        outbox: Outbox,
        wall: Callable[[], float],
        say: Callable[[str], None],
        about: dict[str, object],
        boot_delay: float = 0.0,
        keepalive: int = 60,
        health_expiry: int = 120,
        tally: Tally | None = None,
        daily: int = 1 << 20,
        hears: Hears | None = None,
    ) -> None:
        self.broker = broker
        self._encoder = encoder
        self._outbox = outbox
        encoder.dropped = lambda: outbox.dropped
        self._say = say
        self._told = 0  # reports lost for want of room, as told to people
        self._losing = self._unspooled = False
        self._wall = wall
        self._about = about
        self._health_expiry = health_expiry
        self.tally = tally
        self._allowance = Allowance(daily)
        self.hears = hears
        self.level = ALL
        self._lock = Lock()  # the link's thread says hello, the daemon's says the rest
        self._birth: int | None = None  # a sequence number no broker has seen yet
        self._advice: list[Advice] | None = None
        self._advised: Outgoing | None = None  # the latest message with it
        self._advised_at = self._forgotten_at = float("-inf")  # monotonic seconds
        self._saved_at = 0.0  # after this time a broker that knows this router has it on disk
        self._in_doubt = False  # the broker may have lost it
        self._repeats = Repeats()
        self._flash: Flash | None = None
        self._copy = b""  # of the advice in force, for flash
        self._link = Link(
            broker,
            f"algwatch-{encoder.cpe}",
            outbox,
            self._will,
            self._hello,
            say,
            boot_delay,
            keepalive,
            lambda: self._allowance.room(HEALTH),
            self._allowance.spend,
            hears,
        )

    def start(self, spool: Spool | None = None, flash: Flash | None = None) -> None:
        """spool: findings outlive this process there; flash: verdict changes outlive the power
        there."""
        survived = spool is not None and spool.number > 0
        if spool is not None and (left := self._outbox.open(spool, monotonic())):
            self._say(f"{left} reports of an earlier start wait to be sent")
        self._flash = flash
        if flash is not None:
            lost = flash.left(self._outbox.unsent("finding"), survived)
            for one in lost:
                self._put(one.kind, one.payload, keep=True)
            if lost:
                self._say(f"{len(lost)} reports of before a power loss wait to be sent")
        if self.hears is not None:
            self.hears.start(self)
        self._link.start()

    def _verdicts(self) -> list[tuple[str, bytes]]:
        """Verdict changes without an acknowledgement of the broker: findings of harm, and the
        advice in force if it has not heard the latest."""
        findings = [one for one in self._outbox.unsent("finding") if any(h in one for h in _HARMS)]
        old = self._outbox.unsent("advice")
        with self._lock:
            heard = self._advised is not None and self._advised.arrived
            if self._advice is not None and not heard and not self._copy:
                self._copy = self._encoder.advice(self._advice, self._wall(), copy=True)
            copy = [self._copy] if self._copy and not heard else []
        return [("finding", one) for one in findings] + [("advice", one) for one in old + copy]

    @property
    def connected(self) -> bool:
        return self._link.connected

    def is_again(self, finding: Finding) -> bool:
        """Count a finding; True for a repeat, not to be sent now."""
        if self.hears is not None:
            self.hears.keep(finding)
        return not self._repeats.feed(finding, self._wall() - finding.at)

    def finding(self, finding: Finding) -> None:
        if self.level == STATE or (self.level == HURTING and not finding.hurts):
            return
        phone = ends_of(finding.line)[0]
        if phone and self.tally is not None and not self.tally.deals_with(finding.line):
            phone = STRANGERS
        if not self._allowance.allows("finding", HARM if finding.hurts else HARMLESS, phone):
            return
        series = self._repeats.of(finding)
        with self._lock:
            payload = self._encoder.finding(
                finding, self._wall(), repr(name_of(finding)), series.times,
                self._at(series.first), self._at(series.last),
            )  # fmt: skip
        self._repeats.sent(series, bare(payload))
        self._allowance.spend(len(payload), phone)
        self._put("finding", payload, keep=True)

    def advice(self, advice: list[Advice]) -> None:
        """All advice in force. Without a connection it is only kept: the next hello sends it."""
        with self._lock:
            self._advice, self._advised = list(advice), None
            self._copy = b""
            self._saved_at = monotonic() + GRACE
            if not self._link.connected:
                return
            message = self._advise()
        self._send(message)

    def tick(self, always: bool = False) -> None:
        """Now and then, and always at the end: send the counters of repeated findings, and advice
        that the broker may have lost; copy waiting reports to flash."""
        if self._flash is not None and self._flash.due:
            self._flash.look(self._verdicts())
        for one in self._repeats.due(always):
            if self.level == STATE or not self._allowance.allows("finding", HARMLESS):
                continue
            with self._lock:
                payload = self._encoder.again(
                    one.said, self._wall(), one.times, self._at(one.first), self._at(one.last)
                )
            one.told = one.times
            self._allowance.spend(len(payload))
            self._put("finding", payload, keep=True)
        with self._lock:
            if not self._in_doubt or not self._link.connected or self._is_lately_said:
                return
            self._outbox.supersede(topic(self._encoder.cpe, "advice"))
            message = self._advise()
            self._forgotten_at = self._advised_at
        self._send(message)

    def health(self, health: dict[str, object]) -> None:
        """Sent only over a connection: a late report is worthless."""
        if not self._link.connected or self.level == STATE:
            return
        if not self._allowance.allows("health", HEALTH):
            return
        with self._lock:
            outbox = self._outbox
            mqtt = {
                "queue": len(outbox),
                "queue_bytes": outbox.size,
                "dropped": outbox.dropped,
                "expired": outbox.expired,
                "refused": outbox.refused,
                "unspooled": outbox.unspooled,
                "withheld": dict(self._allowance.withheld),
                "repeated": dict(self._repeats.unsent),
                "connections": self._link.connections,
                "taken_over": self._link.taken_over,
            }
            payload = self._encoder.health({**health, "mqtt": mqtt}, self._wall(), self.tally)
        self._allowance.spend(len(payload))
        self._put("health", payload, expiry=self._health_expiry)

    def reply(self, said: dict[str, object], correlation: bytes) -> None:
        """An answer to a command; said: as in docs/wire.md. Any thread may call."""
        # Anybody who may write the topic causes refusals: they cost no finding its place, nor the
        # day's bytes.
        verified = "id" in said
        if not verified and not self._allowance.allows("reply", HEALTH):
            return
        with self._lock:
            payload = self._encoder.reply(said, self._wall())
        if verified:
            self._allowance.spend_always(len(payload))
        else:
            self._allowance.spend(len(payload))
        self._put("reply", payload, keep=verified, correlation=correlation)

    def wake(self) -> None:
        """A new subscription is due."""
        self._link.wake()

    def stop(self, patience: float) -> bool:
        """As Link.stop, after the farewell."""
        with self._lock:
            payload = self._state(False, self._encoder.next(), "stopped")
        self._put("state", payload, retain=True)
        done = self._link.stop(patience)
        if self._flash is not None and not done:
            self._flash.look(self._verdicts(), at_end=True)
        self._tell_loss(at_end=True)
        return done

    @property
    def spooled(self) -> bool:
        """Unsent reports go at the next start."""
        return self._outbox.is_spooled

    def _put(
        self,
        kind: str,
        payload: bytes,
        retain: bool = False,
        expiry: int | None = None,
        keep: bool = False,
        correlation: bytes = b"",
    ) -> None:
        expires = None if expiry is None else monotonic() + expiry
        where = topic(self._encoder.cpe, kind)
        self._send(Outgoing(where, payload, retain, expiry, expires, keep, correlation))

    def _send(self, message: Outgoing) -> None:
        self._outbox.put(message)
        self._tell_loss()
        self._link.wake()

    def _at(self, moment: float) -> float:
        """Seconds since 1970, from monotonic seconds."""
        return self._wall() - (monotonic() - moment)

    def _tell_loss(self, at_end: bool = False) -> None:
        """A line when reports begin to get lost, and one with their number at the end."""
        if self._outbox.unspooled and not self._unspooled:
            self._unspooled = True
            self._say("the spool cannot be written: reports wait in memory, a restart loses them")
        lost = self._outbox.dropped - self._told
        if lost and not self._losing:
            self._losing = True
            self._say(f"no room for more reports to {self.broker}: the oldest are lost")
        if self._losing and (at_end or self._outbox.is_half_empty):
            self._losing = False
            self._told += lost
            self._say(f"{lost} reports to {self.broker} were lost for want of room (outbox_bytes)")

    def _state(self, online: bool, seq: int, reason: str, **more: object) -> bytes:
        return self._encoder.state(online, self._wall(), seq, reason, **more)

    def _will(self) -> tuple[str, bytes]:
        with self._lock:
            if self._birth is None:
                self._birth = self._encoder.next()
            return topic(self._encoder.cpe, "state"), self._state(False, self._birth, "lost")

    def _hello(self, protocol: str, is_known: bool) -> list[Outgoing]:
        with self._lock:
            seq, self._birth = self._birth or self._encoder.next(), None
            birth = self._state(True, seq, "", mqtt=protocol, **self._about)
            self._allowance.spend_always(len(birth))
            first = [Outgoing(topic(self._encoder.cpe, "state"), birth, retain=True)]
            if not self._has_advice(is_known):
                self._outbox.supersede(topic(self._encoder.cpe, "advice"))
                first.append(self._advise())
            return first

    def _has_advice(self, is_known: bool) -> bool:
        """True if the broker has the advice in force, as far as known now."""
        now = monotonic()
        if self._advised is None or not self._advised.arrived:
            self._saved_at = now + GRACE
            return False  # its retained advice may be of an earlier boot
        if not is_known:
            self._saved_at = now + GRACE
            if now - self._forgotten_at >= EVERY:
                self._forgotten_at = now
                return False
        elif now > self._saved_at:
            return True
        # The advice was acknowledged, perhaps not saved. A connection that breaks all day must not
        # send it each time.
        self._in_doubt = True
        return self._is_lately_said

    @property
    def _is_lately_said(self) -> bool:
        return monotonic() - self._advised_at < EVERY

    def _advise(self) -> Outgoing:
        payload = self._encoder.advice(self._advice, self._wall())
        self._allowance.spend_always(len(payload))
        self._advised = Outgoing(topic(self._encoder.cpe, "advice"), payload, retain=True)
        self._advised_at, self._in_doubt = monotonic(), False
        return self._advised
