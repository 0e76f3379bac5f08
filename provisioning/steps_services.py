"""The switch to the release and the services. Pure.

`current` is a symbolic link that is replaced by rename. The gateway hands its connections over when
it restarts, so a switch cuts no mail; the agent takes up its spool. Sockets stay open meanwhile.
"""

from __future__ import annotations

from provisioning.actions import Script, Step
from provisioning.facts import Facts
from provisioning.wish import CURRENT, RELEASES, SYSTEMD, FileWish, Wish

_RUNNING = ("postfleet-gateway.service", "postfleet-agent.service")
_NET = "postfleet-net.service"

_HOLDS = "all is installed, some services may not run; the node sends nothing without a lease"

# systemctl only says that a unit failed; its journal says why.
_EXPLAIN = """
explain() {
  status=$?
  [ $status = 0 ] || journalctl -q --no-pager -o cat -n 15 -u 'postfleet-*' >&2
  exit $status
}
trap explain EXIT
"""

_SWITCH = """
ln -sfn {id} {releases}/.current.new
mv -T {releases}/.current.new {current}
"""


def switch_and_start(facts: Facts, wish: Wish, changed: tuple[FileWish, ...]) -> Step | None:
    """Point `current` at the release, enable what shall run, (re)start what has to be."""
    why: list[str] = []
    lines: list[str] = []
    link = facts.paths.get(CURRENT)
    before = link.target if link else ""
    switched = before != wish.release_id
    if switched:
        why.append(f"{CURRENT} is {before or 'missing'}")
        lines.append(_SWITCH.format(id=wish.release_id, releases=RELEASES, current=CURRENT))
    disabled = _disabled(facts, wish)
    if disabled:
        why.append(f"not enabled: {', '.join(disabled)}")
        lines.append(f"systemctl enable --quiet --no-reload {' '.join(disabled)}")
    if disabled or any(file.path.startswith(SYSTEMD) for file in changed):
        lines.append("systemctl daemon-reload")
    restart = [unit for unit in _to_restart(changed, switched) if _active(facts, unit)]
    lines += _restart_lines(facts, restart, switched)
    stopped = [unit for unit in wish.units if not _satisfied(facts, unit)]
    if stopped:
        why.append(f"not running: {', '.join(stopped)}")
        # systemd opens no listener while the service that it is for runs
        blocking = [s for unit in stopped if _active(facts, s := _service_of(unit))]
        lines += [f"systemctl stop {service}" for service in blocking]
        lines.append(f"systemctl start {' '.join([*stopped, *blocking])}")
    if not lines:
        return None
    if restart:
        why.append(f"to be restarted: {', '.join(restart)}")
    remedy = "see `journalctl -e` on the node; the inactive units are named by `systemctl --failed`"
    return Step(
        "services", tuple(why), (Script("\n".join([_EXPLAIN, *lines, ""])),), remedy, _HOLDS
    )


def switch_back(release_id: str) -> Step:
    """Return to a release that ran before."""
    lines = _SWITCH.format(id=release_id, releases=RELEASES, current=CURRENT)
    lines += f"systemctl reload {_NET}\nsystemctl restart {' '.join(_RUNNING)}\n"
    why = (f"the new release is not healthy; {release_id} was",)
    return Step("switch back", why, (Script(lines),), f"point {CURRENT} at {release_id} by hand")


def _to_restart(changed: tuple[FileWish, ...], switched: bool) -> list[str]:
    wanted = {unit for file in changed for unit in file.restarts} | set(
        _RUNNING if switched else ()
    )
    return sorted(wanted)


def _restart_lines(facts: Facts, restart: list[str], switched: bool) -> list[str]:
    """A socket cannot be restarted while its service runs; the network rules are reloaded."""
    lines = []
    for socket in (unit for unit in restart if unit.endswith(".socket")):
        service = _service_of(socket)
        around = (f"systemctl stop {service}", f"systemctl start {service}")
        before, after = around if _active(facts, service) else ("", "")
        lines += [line for line in (before, f"systemctl restart {socket}", after) if line]
    services = [unit for unit in restart if not unit.endswith(".socket") and unit != _NET]
    if (switched or _NET in restart) and _active(facts, _NET):
        lines.append(f"systemctl reload {_NET}")
    if services:
        lines.append(f"systemctl restart {' '.join(services)}")
    return lines


def _disabled(facts: Facts, wish: Wish) -> list[str]:
    """What must be enabled. Static units cannot be; Debian's enable themselves when installed."""
    ours = [unit for unit in wish.units if unit.startswith("postfleet-")]
    debian = [unit for unit in (*wish.units, *wish.enabled_units) if _loaded(facts, unit)]
    return [unit for unit in dict.fromkeys([*ours, *debian]) if not _enabled(facts, unit)]


def _enabled(facts: Facts, unit: str) -> bool:
    return unit in facts.units and facts.units[unit].enabled in ("enabled", "static", "alias")


def _loaded(facts: Facts, unit: str) -> bool:
    return unit in facts.units and facts.units[unit].load == "loaded"


def _service_of(unit: str) -> str:
    """The service of a socket; empty for other units."""
    return unit.removesuffix(".socket") + ".service" if unit.endswith(".socket") else ""


def _active(facts: Facts, unit: str) -> bool:
    return unit in facts.units and facts.units[unit].active == "active"


def _satisfied(facts: Facts, unit: str) -> bool:
    return unit in facts.units and facts.units[unit].satisfied
