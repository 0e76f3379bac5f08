"""Before Postfix starts, and as soon as it has ended: holds what it may have been delivering.

Postfix tries everything in its active queue again when it starts. A message whose final dot was
sent when smtp(8) was killed, or the power went, would arrive twice. The guard puts exactly those on
hold that may have left (suspects.py) and writes down why; the agent reads that, looks for evidence
in the log, and what has none becomes uncertain. All else Postfix goes on with by itself.

    ExecStopPost   Postfix ended, by whatever hand. The gateway knows which egresses had a
                   connection open, and how much each had carried.
    ExecStartPre   It was not seen to at its end: power was lost, or the step above failed. Then the
                   marks on disk decide, and after a boot the incoming queue is looked at, too: the
                   queue manager's last renames may be lost.

Any failure is raised, and Postfix does not start: systemd tries again. Until a run has succeeded
the gateway lets no mark go.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from node_agent.apply import durable, postfix_master, queue_file
from node_agent.apply.command import run
from node_agent.apply.errors import ApplyError
from node_agent.apply.generation import read_message
from node_agent.apply.layout import AGENT_USER, Layout
from node_agent.apply.log import log
from node_agent.apply.queue_command import LONG_QUEUE_ID
from node_agent.apply.suspects import Risk, Senders, why_held
from node_agent.local import guard_paths
from node_agent.local.errors import LocalError
from node_agent.local.gateway_blocking import BlockingGatewayClient

_EGRESS_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
# smtp(8) may have been killed a little before systemd saw that Postfix ended.
_BEFORE_S = 10.0
# The gateway remembers a minute.
_REMEMBERED_S = 50.0
_GATEWAY_TIMEOUT_S = 5.0


class GuardFailed(ApplyError):
    """What may have been sent is not on hold: Postfix must not start."""

    stage = "guard"


@dataclass(frozen=True)
class _Scene:
    """What is known about how Postfix ended."""

    at_risk: dict[str, Risk]
    queues: tuple[str, ...]
    ended: str


def guard(layout: Layout, *, has_ended: bool) -> str:
    """Hold what may have been in delivery; return a sentence about it. Raises ApplyError.

    `has_ended`: Postfix ended right now (ExecStopPost); else it is about to start.
    """
    ran, seen_to = (layout.root / path.relative_to("/") for path in _STAMPS)
    if postfix_master.pid(layout) is not None:
        return "Postfix runs: nothing is looked at"
    try:
        if not has_ended and _is_seen_to(seen_to, layout):
            held, said = [], "Postfix was seen to when it ended"
        else:
            scene = _scene(layout, has_ended=has_ended, same_boot=ran.exists())
            # From here to the end nobody may rely on what was known.
            ran.unlink(missing_ok=True)
            held = _hold(scene, layout)
            said = f"{scene.ended}; egresses at risk: {', '.join(sorted(scene.at_risk)) or 'none'}"
        _forget_old_reports(layout)
        if has_ended:
            durable.replace(seen_to, b"")
        else:
            durable.remove(seen_to)
        ran.parent.mkdir(mode=0o755, exist_ok=True)
        ran.touch()
    except OSError as error:
        raise GuardFailed(f"{error.filename}: {error.strerror or error}") from error
    return f"{said}; held: {len(held)}"


_STAMPS = (guard_paths.GUARD_RAN, guard_paths.SEEN_TO)


def _is_seen_to(seen_to: Path, layout: Layout) -> bool:
    """Whether Postfix has not run since (`postfix start` by hand passes systemd by)."""
    try:
        since_s = seen_to.stat().st_mtime
        return layout.master_pid.stat().st_mtime <= since_s
    except FileNotFoundError:
        return seen_to.exists()


# --- what is known -------------------------------------------------------------------------------


def _scene(layout: Layout, *, has_ended: bool, same_boot: bool) -> _Scene:
    if not same_boot:
        queues = ("active", "incoming")
        return _Scene(_marked(layout), queues, "the machine stopped without warning")
    if has_ended and (told := _told_by_gateway(layout)) is not None:
        return _Scene(told, ("active",), "Postfix was stopped or killed")
    return _Scene(_marked(layout), ("active",), "Postfix was stopped or killed")


def _marked(layout: Layout) -> dict[str, Risk]:
    """Egresses with a mark; without the directory nobody has noted anything, nor opened."""
    directory = layout.root / guard_paths.MARKS.relative_to("/")
    try:
        names = [entry.name for entry in directory.iterdir()]
    except FileNotFoundError:
        return {}
    return {name: Risk() for name in names if _EGRESS_ID.fullmatch(name)}


def _told_by_gateway(layout: Layout) -> dict[str, Risk] | None:
    """What the gateway says of connections open at the end; None: it does not know."""
    ago_s = _ended_ago_s() + _BEFORE_S
    if ago_s > _REMEMBERED_S:
        return None
    since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - int(ago_s * 1e9)
    path = layout.root / "run/postfleet-gateway/control.sock"
    try:
        with BlockingGatewayClient(path, _GATEWAY_TIMEOUT_S) as gateway:
            told = gateway.at_risk(since_ns)
    except LocalError as error:
        log().warning("the gateway does not tell, the marks decide", error=str(error))
        return None
    return {one.egress_id: Risk.told(one.connections, one.most_octets_out) for one in told}


def _ended_ago_s() -> float:
    """How long ago systemd saw that Postfix ended; where it cannot say, as long as can be."""
    shown = run(
        "/usr/bin/systemctl",
        "show",
        "--property=ActiveExitTimestampMonotonic",
        "--value",
        postfix_master.unit(),
    )
    text = shown.stdout.strip()
    if not shown.ok or not text.isdecimal() or text == "0":
        return _REMEMBERED_S - _BEFORE_S
    return max(0.0, time.clock_gettime(time.CLOCK_MONOTONIC) - int(text) / 1e6)


def _senders(layout: Layout) -> Senders:
    """By the generation that runs and the one before; what cannot be read names no mailbox."""
    egresses: dict[str, set[str]] = {}
    for link in (layout.current, layout.previous):
        try:
            spec = read_message(link)
        except Exception as error:
            log().info("a generation names no senders", link=str(link), error=str(error))
            continue
        for egress in spec.egresses:
            for mailbox in egress.mailboxes:
                egresses.setdefault(mailbox.lower(), set()).add(egress.id)
    return Senders({mailbox: frozenset(ids) for mailbox, ids in egresses.items()})


# --- what is done --------------------------------------------------------------------------------


def _hold(scene: _Scene, layout: Layout) -> list[str]:
    """Write down why, then hold; return the queue ids."""
    reasons: dict[Path, str] = {}
    if scene.at_risk:
        senders = _senders(layout)
        for path in (p for queue in scene.queues for p in _files(layout.queue / queue)):
            reason = why_held(_read(path), senders, scene.at_risk, scene.ended)
            if reason is not None:
                reasons[path] = reason
    if not reasons:
        return []
    reports = layout.root / guard_paths.HELD.relative_to("/")
    reports.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for path, reason in reasons.items():
        report = reports / path.name
        report.unlink(missing_ok=True)
        durable.write_new(report, reason.encode(), 0o640, AGENT_USER)
    reports.chmod(0o755)
    durable.sync(reports)
    # What postsuper(1) -h does, which cannot run here: it logs through postlogd(8), which is off.
    hold = layout.queue / "hold"
    for path, reason in reasons.items():
        path.rename(hold / path.name)
        log().warning("held", queue_id=path.name, reason=reason)
    for directory in {path.parent for path in reasons} | {hold}:
        durable.sync(directory)
    return [path.name for path in reasons]


def _files(queue: Path) -> list[Path]:
    """Queue files below a queue's directory, which may be hashed."""
    return [p for p in queue.rglob("*") if LONG_QUEUE_ID.fullmatch(p.name) and p.is_file()]


def _read(path: Path) -> queue_file.QueueFile | None:
    try:
        return queue_file.read(path)
    except (OSError, queue_file.UnreadableError) as error:
        log().warning("a queue file cannot be read", path=str(path), error=str(error))
        return None


def _forget_old_reports(layout: Layout) -> None:
    """Drop what was written about queue files that are gone or released since."""
    reports = layout.root / guard_paths.HELD.relative_to("/")
    if reports.is_dir():
        held = {path.name for path in _files(layout.queue / "hold")}
        for report in reports.iterdir():
            if report.name not in held:
                report.unlink()
