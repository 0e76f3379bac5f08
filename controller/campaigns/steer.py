"""Pauses, resumes and cancels a campaign. Its messages on nodes: a pause lets them go."""

from __future__ import annotations

from controller.audit import write_audit
from controller.campaigns.define import SQL
from controller.fleet.errors import BadRequestError, NotFoundError, RefusedError
from controller.planner.unplan import unplan
from controller.store import Transaction

# action -> (states it starts from, the state it leads to)
_STEPS = {
    "pause": (("running", "finished"), "paused"),
    "resume": (("paused",), "running"),
    "cancel": (("running", "paused", "finished"), "cancelled"),
}


async def steer(tx: Transaction, id_: str, action: str, reason: str, actor: str) -> None:
    """Doing it twice changes nothing. Raises NotFoundError, RefusedError, BadRequestError."""
    if action not in _STEPS:
        raise BadRequestError(f"action: {action!r}; pause, resume or cancel")
    row = await tx.fetch_optional(SQL["lock"], id=id_)
    if row is None:
        raise NotFoundError(f"there is no campaign {id_!r}; `postfleet campaign list` shows them")
    sources, target = _STEPS[action]
    if row["state"] == target:
        return
    if row["state"] not in sources:
        raise RefusedError([f"campaign {id_} is {row['state']}; it cannot {action}"])
    await tx.execute(SQL["set_state"], id=id_, state=target, reason=reason, actor=actor)
    taken_back = 0
    if target == "paused":
        ids = [each["id"] for each in await tx.fetch_all(SQL["lock_scheduled"], id=id_)]
        if ids:
            await unplan(tx, ids, f"campaign {id_} was paused")
        taken_back = len(ids)
    if target == "cancelled":
        await tx.execute(SQL["stop_open"], id=id_, reason="the campaign was cancelled")
        await tx.execute(SQL["drop_follow_ups"], id=id_)
    await write_audit(
        tx, actor=actor, action=f"{action}-campaign", subject=f"campaign/{id_}", reason=reason,
        evidence={"before": row["state"], "taken_back": taken_back},
    )  # fmt: skip
