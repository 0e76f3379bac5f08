"""What takes postfleet off a machine again. Pure.

Debian's packages stay (stopped, not enabled): what else uses them nobody here knows. The mail log
stays too; it is evidence.
"""

from __future__ import annotations

from provisioning.actions import Script, Step
from provisioning.facts import Facts
from provisioning.wish import MAIN_CF, RELEASES, Wish

_ORDERING = ("postfleet-agent.service", "postfleet-apply.socket")
_OURS = ("/etc/postfleet", RELEASES, "/var/lib/postfleet-agent")
# Word left by gateway and guard for one another; of no use without them.
_NOTES = "/var/lib/postfleet-gateway /var/lib/postfleet-guard /run/postfleet-guard"


def farewell(facts: Facts, wish: Wish) -> list[Step]:
    """The steps for this machine; none when nothing of postfleet is on it."""
    steps = []
    stop = [*reversed(wish.units), *wish.enabled_units]
    ours = [u for u in stop if u.startswith("postfleet-") or u in wish.enabled_units]
    loaded = {unit for unit, found in facts.units.items() if found.load == "loaded"}
    present = [unit for unit in ours if unit in loaded]
    active = [u for u in present if facts.units[u].active == "active" or _enabled(facts, u)]
    if active:
        # first who gives orders, then what it may still have ordered, then the rest
        orders = [u for u in _ORDERING if u in present]
        text = f"systemctl stop {' '.join(orders)}\n" if orders else ""
        text += "systemctl stop 'postfleet-apply@*.service'\n"
        text += f"systemctl stop {' '.join(present)}\n"
        text += f"systemctl disable --quiet {' '.join(present)}\n"
        why = (f"active or enabled: {', '.join(active)}",)
        steps.append(Step("stop", why, (Script(text),), "see `systemctl --failed` on the node"))
    files = [file.path for file in wish.files if file.path in facts.paths]
    directories = [path for path in _OURS if path in facts.paths or _below(path, facts)]
    if files or directories or facts.releases:
        steps.append(_remove(files))
    users = [name for name in wish.users if name in facts.users]
    if users:
        text = "".join(f"userdel {name}\n" for name in users)
        why = (f"users: {', '.join(users)}",)
        steps.append(Step("users", why, (Script(text),), "some process of theirs still runs"))
    return steps


def _remove(files: list[str]) -> Step:
    drop_ins = sorted({path.rpartition("/")[0] for path in files if ".d/postfleet.conf" in path})
    lines = [
        f"rm -f {' '.join(files)}" if files else ":",
        # the links to what apply rendered; Debian's own files are not touched
        f"for f in {MAIN_CF} /etc/postfix/master.cf; do [ ! -L $f ] || rm -f $f; done",
        f"rm -rf {' '.join(_OURS)} {_NOTES} /run/postfleet-apply.lock",
        *(f"rmdir --ignore-fail-on-non-empty {path}" for path in drop_ins if "systemd" in path),
        "systemctl daemon-reload",
        "systemctl reset-failed 'postfleet-*' 2>/dev/null || true",
        "nft delete table inet postfleet 2>/dev/null || true",
        "ip route del local 198.18.0.0/15 dev lo 2>/dev/null || true",
    ]
    why = (f"{len(files)} files, {', '.join(_OURS)}",)
    return Step("remove", why, (Script("\n".join(lines) + "\n"),), "remove them by hand")


def _below(path: str, facts: Facts) -> bool:
    return any(found.startswith(path + "/") for found in facts.paths)


def _enabled(facts: Facts, unit: str) -> bool:
    return facts.units[unit].enabled == "enabled"
