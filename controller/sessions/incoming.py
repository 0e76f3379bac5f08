"""Takes what a node said to where it belongs, in its order; heartbeats are not among it."""

from __future__ import annotations

from collections.abc import Sequence

from postfleet.v1 import node_pb2

from controller.events.recorder import Recorder
from controller.events.report import Report
from controller.sessions import metrics
from controller.sessions.discards import record_discards
from controller.sessions.dispatch_answers import record_dispatch_result
from controller.sessions.errors import SessionBroken
from controller.sessions.inbox import Said
from controller.sessions.probe_reports import record_probe
from controller.sessions.releases import record_release
from controller.sessions.session import NodeSession
from controller.sessions.spec_delivery import record_spec_result
from controller.store import Store


async def take(
    store: Store,
    recorder: Recorder,
    session: NodeSession,
    together: Sequence[Said],
) -> None:
    """Acts on what Inbox.rest gave; answers go to the outbox. Raises SessionBroken, StoreError."""
    message = together[0].message
    match message.WhichOneof("body"):
        case "event_report":
            await _take_events(recorder, session, together)
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


async def _take_events(recorder: Recorder, session: NodeSession, together: Sequence[Said]) -> None:
    reports = []
    for said in together:
        report = said.message.event_report
        if report.spool_id != session.spool_id:
            raise SessionBroken(
                f"events of spool {report.spool_id} in a session of spool {session.spool_id}"
            )
        if report.events:
            reports.append(Report.of(session.node_id, report, said.came_s))
    if not reports:
        return
    for event in await recorder.store(reports):
        metrics.count_event(event)
    session.outbox.put(
        node_pb2.ControllerMessage(
            event_ack=node_pb2.EventAck(
                spool_id=session.spool_id,
                up_to_seq=max(report.events[-1].seq for report in reports),
            )
        )
    )
