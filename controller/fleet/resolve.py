"""An operator says what became of an uncertain message, or what shall become of it.

What nobody can know stays open until somebody decides. While a node holds the queue file, it must
be deleted there first: a message that is sent again begins anew only when the node has answered.
"""

from __future__ import annotations

from postfleet.v1 import fleet_pb2

from controller.audit import write_audit
from controller.events.discards import resend
from controller.fleet import history
from controller.fleet.errors import BadRequestError, NotFoundError, RefusedError
from controller.fleet.ordering import reason_given, run_order
from controller.fleet.pages import clean
from controller.message_life import STEPS, Event, State
from controller.store import Row, Store, Transaction, queries

_SQL = queries.load("resolutions")
_EVENTS = {
    fleet_pb2.RESOLUTION_SENT: Event.SENT,
    fleet_pb2.RESOLUTION_RESEND: Event.RESENT,
    fleet_pb2.RESOLUTION_CANCEL: Event.CANCELLED,
}
_WORDS = {
    Event.SENT: "an operator says that it was sent",
    Event.RESENT: "an operator lets it be sent again",
    Event.CANCELLED: "an operator lets it rest: it is not sent again",
}


async def resolve(
    store: Store, request: fleet_pb2.ResolveMessageRequest, actor: str
) -> fleet_pb2.ResolveMessageReply:
    """Carries out an operator's word. May be changed until the message has ended.

    Raises NotFoundError, BadRequestError, RefusedError.
    """
    id_, reason = clean(request.id, "id"), reason_given(request.reason)
    event = _EVENTS.get(request.resolution)
    if event is None:
        raise BadRequestError("resolution: there are sent, resend and cancel")

    async def work(tx: Transaction) -> fleet_pb2.ResolveMessageReply:
        found = await tx.fetch_optional(_SQL["lock_message"], id=id_)
        if found is None:
            raise NotFoundError(f"there is no message {id_!r}; `postfleet message list` shows them")
        if State(found["state"]) is not State.UNCERTAIN:
            raise RefusedError([f"message {id_} is {found['state']}, there is nothing to resolve"])
        words = ": ".join(filter(None, (_WORDS[event], reason)))
        holder = await carry_out(tx, id_, found, event, words)
        await write_audit(
            tx,
            actor=actor,
            action="resolve-message",
            subject=f"message/{id_}",
            reason=reason,
            evidence={"as": str(event), "queue_file_on": holder},
        )
        shown = await history.messages(tx, fleet_pb2.ListMessagesRequest(ids=[id_]))
        return fleet_pb2.ResolveMessageReply(message=shown.messages[0], awaited_node_id=holder)

    return await run_order(store, work, request.dry_run)


async def send_again(tx: Transaction, id_: str, words: str) -> None:
    """Lets an uncertain message be sent once more, for that reason, where it still is uncertain."""
    found = await tx.fetch_optional(_SQL["lock_message"], id=id_)
    if found is not None and State(found["state"]) is State.UNCERTAIN:
        await carry_out(tx, id_, found, Event.RESENT, words)


async def carry_out(tx: Transaction, id_: str, found: Row, event: Event, words: str) -> str:
    """Does it to a locked message; gives the node that has its queue file to delete, or ''."""
    holder: str = found["holder"] or ""
    if holder:
        discard = {"node_id": holder, "queue_id": found["queue_id"]}
        await tx.execute(_SQL["want_discard"], id=id_, **discard, resend=event is Event.RESENT)
    if event is not Event.RESENT:
        await tx.execute(_SQL["end"], id=id_, state=str(STEPS[event].target), reason=words)
        return holder
    waits = f"; waits until node {holder} has deleted its queue file" if holder else ""
    await tx.execute(_SQL["say_why_waiting"], id=id_, reason=words + waits)
    if not holder:
        await resend(tx, [id_])
    return holder
