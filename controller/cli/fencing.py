"""postfleet node fence: shows what is at stake, asks, and ends the node's term."""

from __future__ import annotations

from postfleet.v1 import fleet_pb2

from controller.cli.asking import confirm, confirm_by_name
from controller.cli.command import Session
from controller.cli.connection import connected
from controller.cli.output import ago, as_data, console, notes, print_details, print_json

_ALIVE = """\
{node} IS ALIVE: it {heard}. Fencing it takes its egresses away from a machine that works.
Until it hears of that, it may send through the same proxies at the same time as the nodes that
get them: receivers then see two senders at one address, beyond every limit of pace, and nobody
can say afterwards which of them made the address look bad.
To move its egresses in order use `postfleet node drain {node}`."""
_UNCLEAR = """\
{node} {heard}: too early to say that it is off. Without you its term ends by itself when
it has said nothing for as long as a lease lasts."""
_SILENT = """\
{node} {heard}. A machine that is cut off from the controller only looks the same, and
goes on sending until its lease ends: make sure that this one is off, or cut from the proxies."""
_QUESTIONS = {
    "alive": "Type {node} to fence it all the same",
    "unclear": "Is it certainly off, or cut from its proxies? Fence {node}?",
    "silent": "Is it off, or cut from its proxies? Fence {node}?",
}


def fence(session: Session, node: str, reason: str, yes: bool, dry_run: bool) -> None:
    """Orders it, after the question, for the term that was shown. Raises Failure."""
    request = fleet_pb2.FenceNodeRequest(node_id=node, reason=reason, dry_run=True)
    with connected(session) as connection:
        foreseen = connection.ask("FenceNode", request)
        if foreseen.changed and not session.json:
            show_stake(node, foreseen.at_stake)
        if foreseen.changed and not dry_run:
            ask(session, node, foreseen.at_stake, yes)
            request.dry_run, request.epoch = False, foreseen.at_stake.epoch
            foreseen = connection.ask("FenceNode", request)
    _report(session, node, foreseen, dry_run)


def ask(session: Session, node: str, stake: fleet_pb2.NodeStake, yes: bool) -> None:
    """Goes on where a person says that it is off. Raises Failure."""
    question = _QUESTIONS[stake.life].format(node=node)
    if stake.life == "alive":
        confirm_by_name(session, question, node, yes=yes)
    else:
        confirm(session, question, yes=yes)


def show_stake(node: str, stake: fleet_pb2.NodeStake) -> None:
    """What hangs on a node, and what it means to call it off."""
    on_it = ", ".join(f"{count:,} {state}" for state, count in sorted(stake.messages.items()))
    if on_it and stake.messages_deferred:
        on_it += f" ({stake.messages_deferred:,} of them deferred)"
    print_details(
        [
            ("node", node),
            ("heard", ago(stake, "last_seen")),
            ("stream", "open" if stake.connected else "none"),
            ("lease", f"term {stake.epoch}" if stake.lease_valid else "none"),
            ("holds", f"{stake.egresses:,} egresses, {stake.mailboxes:,} mailboxes"),
            ("clients", ", ".join(stake.clients)),
            ("mail on it", on_it or "none"),
        ]
    )
    console().print()
    words = {"alive": _ALIVE, "unclear": _UNCLEAR, "silent": _SILENT}[stake.life]
    style = "bold red" if stake.life == "alive" else ""
    heard = ago(stake, "last_seen")
    heard = "was never heard" if heard == "never" else f"was heard {heard}"
    notes().print(words.format(node=node, heard=heard), style=style)
    if stake.messages:
        notes().print(
            f"Of its mail {stake.messages_not_due:,} were not due yet and go out from elsewhere. "
            "The rest stays with it, because only it knows what went out: it is reported when the "
            "node comes back, and becomes uncertain when its disk is gone."
        )


def _report(session: Session, node: str, reply: fleet_pb2.FenceNodeReply, dry_run: bool) -> None:
    if session.json:
        print_json({"dry_run": dry_run} | as_data(reply))
    elif not reply.changed:
        print(f"{node} is fenced already and holds nothing; nothing changed")
    else:
        freed = f"{reply.at_stake.egresses:,} egresses go to other nodes"
        print(f"{'would change: ' if dry_run else ''}{node} is fenced; {freed}")
