"""Shows messages to people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller.cli.output import (
    console,
    moment,
    number,
    print_details,
    print_table,
    state,
)


def print_messages(messages: Iterable[Any]) -> None:
    """A table of messages."""
    print_table(
        ("message", "state", "accepted (utc)", "mailbox", "recipient", "egress", "node",
         "#attempts", "reason"),
        [
            (each.id, state(each.state), moment(each, "accepted_at"), each.mailbox,
             each.recipient, each.egress_id, each.node_id, number(each.attempts), each.reason)
            for each in messages
        ],
        "no messages",
    )  # fmt: skip


def print_resolved(reply: Any, dry_run: bool) -> None:
    """What an operator's word made of a message."""
    words = f"{reply.message.id} is {reply.message.state}: {reply.message.reason}"
    if reply.awaited_node_id:
        words += f"; node {reply.awaited_node_id} is to delete its queue file"
    print(f"would change: {words}" if dry_run else words)


def print_message(detail: Any) -> None:
    """One message with its history."""
    row = detail.message
    print_details(
        [
            ("message", row.id),
            ("state", state(row.state)),
            ("reason", row.reason),
            ("client", row.client_id),
            ("key", row.idempotency_key),
            ("from", row.mailbox or "not chosen yet"),
            ("to", row.recipient),
            ("size", f"{row.size:,} octets"),
            ("accepted", moment(row, "accepted_at")),
            ("not before", moment(row, "not_before")),
            ("ended", moment(row, "final_at")),
            ("egress", row.egress_id),
            ("node", f"{row.node_id}, term {row.epoch}" if row.node_id else ""),
            ("queue id", row.queue_id),
            ("attempts", number(row.attempts)),
        ]
    )
    console().print()
    print_table(
        ("time (utc)", "event", "node", "queue id", "dsn", "relay", "reason"),
        [
            (moment(each, "at"), state(each.event), each.node_id, each.queue_id, each.dsn,
             each.relay, each.reason)
            for each in detail.history
        ],
    )  # fmt: skip
