"""Facts and wish -> the steps that make the one into the other. Pure; an empty plan: all is well.

A step is a name, the reasons for it, and actions. Its actions may be repeated after an interruption
at any point: they write beside and rename, or say what shall be and not what to change. The order
of the steps is the order in which a machine can become a node; what has started stays closed (no
mail leaves before the controller grants a lease).
"""

from __future__ import annotations

from provisioning import steps_identity, steps_release, steps_services, steps_system
from provisioning.actions import Step
from provisioning.errors import Unsupported
from provisioning.facts import Facts
from provisioning.lock import TARGETS
from provisioning.wheelhouse import Bundle
from provisioning.wish import Wish

MIN_FREE_KIB = 1_000_000


def plan(facts: Facts, wish: Wish, bundle: Bundle) -> list[Step]:
    """The steps in their order. Raises Unsupported for a machine that can be no node."""
    refuse_unsupported(facts, wish)
    changed = steps_system.changed_files(facts, wish)
    found = (
        steps_system.close_mail(facts),
        steps_system.packages(facts, wish),
        steps_release.install(facts, wish, bundle),
        steps_system.files(facts, wish, changed),
        steps_identity.certificate(facts, wish),
        steps_services.switch_and_start(facts, wish, changed),
    )
    return [step for step in found if step is not None]


def refuse_unsupported(facts: Facts, wish: Wish) -> None:
    """Raise Unsupported unless this is Debian 12 or 13 on amd64 with its own Python and room."""
    wanted = TARGETS.get(facts.major)
    found = f"{facts.distribution} {facts.major} on {facts.machine}"
    if facts.distribution != "debian" or wanted is None or facts.machine != "x86_64":
        raise Unsupported(
            f"{wish.node_id} runs {found}; nodes are Debian {' or '.join(TARGETS)} on x86_64. "
            "Nothing was changed; reinstall the machine with one of these"
        )
    python = ".".join(map(str, wanted.python))
    if facts.python and facts.python != python:
        raise Unsupported(
            f"{wish.node_id}: python3 is {facts.python}, Debian {facts.major}'s own is {python}. "
            "Nothing was changed; let /usr/bin/python3 be Debian's"
        )
    if facts.free_kib < MIN_FREE_KIB and wish.release_id not in facts.releases:
        raise Unsupported(
            f"{wish.node_id}: {facts.free_kib // 1024} MiB are free on /, {MIN_FREE_KIB // 1024} "
            "are needed. Nothing was changed; make room"
        )
