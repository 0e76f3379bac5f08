"""Takes what a node said to where it belongs, in its order; heartbeats are not among it."""

from __future__ import annotations

from collections.abc import Sequence

from postfleet.v1 import node_pb2

from controller.events.reports import record_events
from controller.sessions import metrics
from controller.sessions.discards import record_discards
from controller.sessions.dispatch_answers import record_dispatch_result
from controller.sessions.errors import SessionBroken
from controller.sessions.probe_reports import record_probe
from controller.sessions.releases import record_release
from controller.sessions.session import NodeSession
from controller.sessions.spec_delivery import record_spec_result
from controller.store import Store
from controller.throttle.heard import Listener


async def take(
    store: Store,
    listener: Listener,
    session: NodeSession,
    messages: Sequence[node_pb2.NodeMessage],
) -> None:
    """Acts on what Inbox.rest gave; answers go to the outbox. Raises SessionBroken, StoreError."""
    for message in messages:
        await _take(store, listener, session, message)


async def _take(
    store: Store, listener: Listener, session: NodeSession, message: node_pb2.NodeMessage
) -> None:
    match message.WhichOneof("body"):
        case "event_report":
            await _take_events(store, session, message.event_report, listener)
        case "dispatch_result":
            await record_dispatch_result(store, session, message.dispatch_result)
        case "probe_report":
            await record_probe(store, session, message.probe_report)
        case "spec_result":
            await record_spec_result(store, session, message.spec_result)
        case "release_result":
            await record_release(store, session, message.release_result)
        case "discard_result":
            await record_discards(store, session, message.discard_result)
        case "hello":
            raise SessionBroken("Hello stands at the beginning of a session only")
        case _:
            # A later agent may say what this controller does not know yet.
            pass


async def _take_events(
    store: Store, session: NodeSession, report: node_pb2.EventReport, listener: Listener
) -> None:
    if report.spool_id != session.spool_id:
        raise SessionBroken(
            f"events of spool {report.spool_id} in a session of spool {session.spool_id}"
        )
    if not report.events:
        return
    for event in await record_events(store, session.node_id, report, listener):
        metrics.count_event(event)
    session.outbox.put(
        node_pb2.ControllerMessage(
            event_ack=node_pb2.EventAck(
                spool_id=report.spool_id, up_to_seq=max(event.seq for event in report.events)
            )
        )
    )
