# SPDX-License-Identifier: Apache-2.0
"""The start of `algwatch run`: open taps, publisher and console, give up privileges, and run the
loop (daemon.py)."""

from __future__ import annotations

import codecs
import os
import sys
import time
from collections.abc import Callable
from functools import partial

from algwatch import __version__
from algwatch.base import leftovers
from algwatch.base.clock import PacketClock
from algwatch.base.host import HARDWARE, NO_OFFLOAD, Host
from algwatch.base.native import privileges
from algwatch.base.native.rows import Counts
from algwatch.base.native.rtp import Rtp
from algwatch.base.packet import LAN, SIDE_NAMES, WAN, Tap
from algwatch.capture.board import read_board
from algwatch.capture.conntrack import Conntrack, NoAccounting
from algwatch.capture.filter import FilterError
from algwatch.capture.host import boot_of, is_down, read_host
from algwatch.capture.networks import NoNetworks, found
from algwatch.capture.reassembly import LIMIT as REASSEMBLY
from algwatch.capture.reassembly import Reassembler
from algwatch.capture.ring import LiveTap, TapError
from algwatch.compare.accounted import Accounted
from algwatch.compare.crossing import Crossing
from algwatch.compare.sides_check import SidesCheck
from algwatch.config import AUTO, OFF, Config
from algwatch.daemon import HELD, Daemon, Source
from algwatch.files import FileError
from algwatch.pipeline import Pipeline
from algwatch.quiet import suppress
from algwatch.report.console import Console, gap
from algwatch.report.outlets.opened import homer, lines, state
from algwatch.report.output import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.base.owner import Owner
    from algwatch.handover import Handed
    from algwatch.report.flash import Flash
    from algwatch.report.outlets.hep import Hep
    from algwatch.report.privacy import Privacy
    from algwatch.report.publisher import Publisher
    from algwatch.report.spool import Spool
    from algwatch.report.tally import Tally

ANNOUNCED = 512  # media known at a time: a call has four, two a side
SPOOL_SHARE = 16  # the spool takes at most this fraction (1/16) of free memory
SPOOL_LEAST = 65536  # bytes
LAST_LINES = 0.5  # seconds for the reader of standard output to take the last lines
LAST_LINE = 0.2  # seconds of these after the farewell, at least

OFFLOADED = (
    "hardware flow offload is on: packets pass this router without being captured, and a capture "
    "on the WAN device makes some routers restart; turn it off (uci set "
    "firewall.@defaults[0].flow_offloading_hw=0; uci commit firewall; service firewall restart), "
    "or set hardware_offload = on to watch all the same"
)


class CannotStart(Exception):
    """The text is one line with the next step."""


def _open_taps(config: Config, counts: Counts, rtp: Rtp | None, log: int) -> list[Source]:
    """log: descriptor of a log of own phones, -1 without one."""
    # Random, so outsiders cannot build SIP messages with colliding hashes.
    key = os.urandom(16)
    sources: list[Source] = []
    wanted = [(name, LAN) for name in config.lan] + [(name, WAN) for name in config.wan]
    try:
        for index, (name, side) in enumerate(wanted):
            live = LiveTap(name, index, config.ports, key, counts, config.ring_bytes, rtp)
            sources.append(Source(live, side, Reassembler(index, config.ports, key, live=True)))
        if log >= 0:
            from algwatch.capture.nflog import LogTap

            index = len(sources)
            tap = LogTap(log, index, config.ports, key, counts, rtp)
            sources.append(Source(tap, LAN, Reassembler(index, config.ports, key, live=True)))
    except (TapError, FilterError) as problem:
        for source in sources:
            source.live.close()
        raise CannotStart(str(problem)) from None
    return sources


def _handed(config: Config) -> Handed | None:
    """Descriptors from root; None if this process opens everything itself."""
    if not config.handover:
        return None
    from algwatch.handover import receive

    return receive(config.handover)


def _open_log(config: Config, owners: tuple[Owner, ...], handed: Handed | None) -> tuple[int, str]:
    """Called with privileges: the log of own phones' messages, -1 without one; and a line with the
    reason, "" if none is wanted."""
    if config.own_phones == OFF or (config.own_phones == AUTO and not owners):
        return -1, ""
    who = f"{owners[0]}: what it" if owners else "what programs on this router"
    said = f"{who} says is seen on the WAN side alone" if owners else f"{who} say is not logged"
    if handed is not None:
        fd = handed.take("own-phones")
        return fd, f"{said}: {handed.why.get('own-phones', 'not handed over')}" if fd < 0 else ""
    from algwatch.kernel.nflog import CannotLog, open_log

    try:
        return open_log(config.wan, config.ports).detach(), ""
    except CannotLog as why:
        return -1, f"{said}: {why}"


def late_owners(look: Callable[..., Host], say: Callable[[str], None]) -> Callable[..., Host]:
    """look, with one line to the user after a program has taken a SIP port since the start."""
    said = False

    def again(at: int, before: str = NO_OFFLOAD) -> Host:
        nonlocal said
        host = look(at, before=before)
        if host.owners and not said:
            said = True
            say(f"{host.owners[0]}: restart algwatch to see both copies of its messages")
        return host

    return again


def _open_conntrack(
    config: Config, offload: str, handed: Handed | None
) -> tuple[Conntrack | None, str]:
    """Called with privileges. None if it does not serve, and a line with the reason."""
    try:
        if handed is not None and config.media and "conntrack" in handed.why:
            raise NoAccounting(handed.why["conntrack"])
        if offload != NO_OFFLOAD and config.media:
            raise NoAccounting("flow offload is on, and its packets are not counted")
        fd = handed.take("conntrack") if handed is not None else -1
        return (Conntrack(fd=fd) if config.media else None), ""
    except NoAccounting as why:
        return None, f"the media of calls are not counted, so one-way audio is not seen: {why}"


def _privacy(config: Config, key: bytes) -> Privacy:
    from algwatch.report.privacy import Privacy

    return Privacy(key, config.privacy)


def _publisher(
    config: Config, cpe: str, privacy: Privacy, console: Console, about: dict[str, object]
) -> Publisher:
    # Here, because paho is the largest import of this process, and a broker is optional.
    from algwatch.report.broker import Broker, BrokerError
    from algwatch.report.encode import Encoder
    from algwatch.report.outbox import Outbox
    from algwatch.report.providers import Providers
    from algwatch.report.publisher import Publisher
    from algwatch.report.tally import Tally

    ear = None
    boot = f"{int(time.time()) & 0xFFFFFFFF:08x}{os.urandom(4).hex()}"
    try:
        if config.commands or config.provider_key:
            from algwatch.control.ear import Ear

            ear = Ear(config, cpe, privacy, console.say)
        providers = Providers(ear.learned) if ear is not None else Providers()
        return Publisher(
            Broker(
                config.mqtt,
                config.mqtt_user,
                config.mqtt_password,
                config.mqtt_ca,
                config.mqtt_cert,
                config.mqtt_key,
                config.mqtt_name,
            ),
            Encoder(cpe, __version__, boot, privacy, providers),
            Outbox(config.outbox_bytes),
            time.time,
            console.say,
            about,
            0 if sys.stdin is not None and sys.stdin.isatty() else config.boot_delay,
            config.mqtt_keepalive,
            2 * config.health_interval,
            Tally(providers),
            config.daily_bytes,
            ear,
        )
    except BrokerError as problem:
        raise CannotStart(str(problem)) from None


def _prepare_spool(folder: str, user: str) -> None:
    """Make the folder with privileges, for the daemon's later user."""
    import algwatch.report.spool  # noqa: F401  # the later user may have no right to read it

    with suppress(OSError):  # Spool reports the reason
        os.mkdir(folder, 0o700)
        if user:
            os.chown(folder, *_user(user))


def _spool(config: Config, console: Console) -> Spool | None:
    """None without one, or after a line to the user if it does not serve."""
    if not config.spool:
        return None
    from algwatch.report.spool import Spool, SpoolError

    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGESIZE")
    try:
        spool = Spool(config.spool, max(SPOOL_LEAST, min(config.outbox_bytes, free // SPOOL_SHARE)))
    except SpoolError as problem:
        console.say(f"spool {problem}: reports wait in memory, and a restart loses them")
        return None
    if spool.damaged:
        console.say(f"spool {config.spool}: {spool.damaged} bytes are damaged and were left out")
    return spool


def _flash(config: Config, console: Console) -> Flash | None:
    if not config.flash:
        return None
    from algwatch.report.flash import Flash

    return Flash(config.flash, boot_of(), console.say)


def _user(user: str) -> tuple[int, int]:
    """uid and gid of a name or number; CannotStart."""
    import pwd

    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        raise CannotStart(f"user {user}: there is no such user on this router") from None
    return entry.pw_uid, entry.pw_gid


def _confine(user: str, codes: tuple[str, ...]) -> None:
    """Give up unneeded privileges after opening rings and files; CannotStart. codes: of names."""
    uid = gid = privileges.SAME_USER
    if user:
        uid, gid = _user(user)
        if uid == os.geteuid():  # a process of this user may not change ids
            uid = gid = privileges.SAME_USER
        # Python loads them at first use; the later user may have no right to read them.
        for name in codes:
            codecs.lookup(name)
    error = privileges.drop(uid, gid)
    if error:
        become = f"become user {user}" if user else "give up privileges"
        raise CannotStart(f"cannot {become}: {os.strerror(error)}")


def _about(config: Config, host: Host, sources: list[Source]) -> dict[str, object]:
    """Fields of the birth message about this router."""
    helper = "module" if host.loaded else "built-in" if host.helper else "absent"
    return {
        "taps": {s.live.name: SIDE_NAMES[s.side] for s in sources},
        **read_board(),
        "helper": helper,
        "offload": host.offload or "none",
        "tags": dict(config.tags),
    }


def _watch(
    config: Config, console: Console, tally: Tally | None, hep: Hep | None
) -> Callable[[Crossing], None]:
    """Takes each message once its outcome is known: for HEP. The fleet's counters, and one line
    about exchanged interface names, need none that went as others before."""
    check = SidesCheck(", ".join(config.lan), ", ".join(config.wan))

    def watch(crossing: Crossing) -> None:
        if tally is not None:
            tally.cross(crossing)
        if hep is not None:
            hep.cross(crossing)
        line = check.feed(crossing)
        if line is not None:
            console.say(line)

    return watch


def kept_bytes(memory: int, taps: int) -> int:
    """The tables' share of the bytes for messages. Rows held back for their order, and messages in
    fragments, have bounds of their own."""
    return max(memory // 4, memory - HELD - taps * REASSEMBLY)


def run(config: Config, out: int, err: int) -> int:
    """The daemon from start to end. out, err: file descriptors, written only here. Returns 0;
    CannotStart."""
    outputs = [Output(out, gap(config.json)), Output(err, gap(False))]
    console = Console(lines(config.syslog, outputs[0].line), outputs[1].line, config.json)
    counts = Counts()
    try:
        config.lan, config.wan = found(config.lan, config.wan)
    except NoNetworks as why:
        raise CannotStart(str(why)) from None
    # Read with root's rights.
    ports = config.ports if config.own_phones != OFF else ()
    look: Callable[..., Host] = partial(read_host, ports=ports)
    host = look(time.time_ns())
    if host.offload == HARDWARE and not config.hardware_offload:
        raise CannotStart(OFFLOADED)
    handed = _handed(config)
    conntrack, uncounted = _open_conntrack(config, host.offload, handed)
    rtp = Rtp(ANNOUNCED) if conntrack is not None else None
    log, unlogged = _open_log(config, host.owners, handed)
    if config.own_phones == AUTO and not host.owners:
        look = late_owners(look, console.say)
    sources = _open_taps(config, counts, rtp, log)
    if handed is not None:
        handed.close()
    names = ", ".join(f"{s.live.name} ({SIDE_NAMES[s.side]})" for s in sources[:-1])
    names += f" and {sources[-1].live.name} ({SIDE_NAMES[sources[-1].side]})"
    publisher = None
    key = os.urandom(32)  # of the log's pseudonyms, if no report shares it
    where = "reporting here only"
    if config.mqtt:
        from algwatch.report.identity import hardware_address, privacy_key

        cpe = config.cpe or hardware_address(config.lan[0])
        if not cpe:
            raise CannotStart(f"{config.lan[0]} has no MAC address: name this router with --cpe")
        try:
            key, passing = privacy_key(config.privacy_key)
        except FileError as problem:
            raise CannotStart(f"privacy_key {problem}") from None
        publisher = _publisher(
            config, cpe, _privacy(config, key), console, _about(config, host, sources)
        )
        where = f"reporting to {publisher.broker} as {cpe}"
        if config.privacy and passing:
            where += f" (pseudonyms last until the end: {passing})"
    if config.privacy and not config.json:
        from algwatch.report.anonymous import for_log

        console.anonymous = partial(for_log, privacy=_privacy(config, key))
    if config.json:
        import algwatch.report.render.json  # the later user may have no right to read it
    if config.state:
        import algwatch.report.keeper  # as above
    if config.flash:
        import algwatch.report.flash  # noqa: F401  # as above
    if config.spool:
        _prepare_spool(config.spool, config.user)
    private = _privacy(config, key)
    status = state(config.status_file, config.metrics_file, private, console.say)
    clock = PacketClock(time.monotonic_ns, time.time_ns)
    hep = homer(config.hep, config.hep_id, lambda: clock.shift)
    # Before any thread (lines, publisher): a thread would keep its rights.
    _confine(config.user, ("ascii",) if config.mqtt.isascii() else ("ascii", "idna"))
    watched = [Tap(s.live.name, s.side) for s in sources]
    memory = kept_bytes(config.memory_bytes, len(sources))
    sides = [tap.side for tap in watched]
    media = Accounted(rtp, sides, clock.packet) if rtp is not None else None
    watch = _watch(config, console, publisher.tally if publisher is not None else None, hep)
    pipeline = Pipeline(watched, True, watch, memory=memory, media=media, every=hep is not None)
    spool = _spool(config, console) if publisher is not None else None
    keeper = None
    if config.state:
        from algwatch.report.keeper import opened

        keeper = opened(config.state, pipeline.knowledge, watched, clock, spool, console.say)
    daemon = Daemon(sources, pipeline, clock, console, counts, publisher, config.health_interval,
                    conntrack, media, status, look, keeper)  # fmt: skip
    daemon.listen()
    for source in sources:
        source.live.drain()  # a packet from the time of these imports has no exact time
    console.say(f"algwatch {__version__}: watching {names}, {where}")
    for source in sources:
        if is_down(source.live.name):
            console.say(f"{source.live.name} is down: nothing is seen on it until it is up")
        if source.live.unseen:
            console.say(source.live.unseen)
    for note in [note for note in (uncounted, unlogged) if note] + config.notes():
        console.say(note)
    daemon.recall()
    if publisher is not None:
        publisher.start(spool, _flash(config, console))
    daemon.tell_host(host)
    leftovers.drop_texts()
    leftovers.drop_imports()
    daemon.run()
    end = time.monotonic() + LAST_LINES
    daemon.stop()
    # Earlier lines had their time during the farewell.
    end = max(end, time.monotonic() + LAST_LINE)
    for output in outputs:
        output.close(end - time.monotonic())
    return 0
