"""Breakers in the database: opened by runs, tried by one message, closed by its acceptance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.store import Store
from controller.throttle.breaker import RUN
from controller.throttle.recovery import Recovery
from controller.throttle.trials import assign_trials
from tests.controller.loops.test_dispatch import Scene as DispatchScene
from tests.controller.small_fleet import sql
from tests.controller.throttle.test_follow import GOOGLE, Scene
from tests.controller.throttle.test_follow import scene as scene

REFUSED = "550 5.7.1 we do not want this"
OPEN = ["provider-domain google/acme.test", "provider-egress google/px1"]


async def refuse(scene: Scene, count: int, reply: str = REFUSED, kind: str = "BOUNCED") -> None:
    for n in range(count):
        await scene.message(f"r{n}")
    await scene.report(*(scene.event(f"r{n}", reply, kind) for n in range(count)))


async def stopped(scene: Scene) -> list[str]:
    rows = await scene.rows(
        "SELECT scope, subject FROM suspension WHERE source = 'breaker' AND until > now()"
    )
    return sorted(f"{scope} {subject}" for scope, subject in rows)


async def test_a_run_of_refusals_opens_both_breakers(scene: Scene) -> None:
    await refuse(scene, RUN - 1)
    assert await stopped(scene) == []
    await scene.message("last")
    await scene.report(scene.event("last", REFUSED, "BOUNCED"))
    assert await stopped(scene) == OPEN
    assert set((await scene.limits()).values()) == {0}
    assert await scene.audited() == [], "it is the breaker's act, not a rule's"
    rows = await scene.rows("SELECT action, evidence->>'line' FROM audit"
                            " WHERE actor = 'controller/breaker' ORDER BY 1")  # fmt: skip
    assert rows == [("suspend-provider-domain", "line of last"),
                    ("suspend-provider-egress", "line of last")]  # fmt: skip


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.1.1 no such user",
        "450 4.2.0 Greylisted, come back later",
        "452 4.2.2 The recipient's inbox is out of storage space",
        "451 4.4.2 Timeout - closing connection",
    ],
)
async def test_what_is_not_about_the_sender_opens_nothing(scene: Scene, reply: str) -> None:
    await refuse(scene, RUN + 1, reply, "DEFERRED")
    assert await stopped(scene) == []


async def test_a_message_that_is_tried_again_counts_once(scene: Scene) -> None:
    for _ in range(RUN + 1):
        await scene.report(scene.event("m", "451 4.7.1 not now"))
    assert await stopped(scene) == []


async def test_mail_that_is_taken_breaks_the_run_and_closes_what_is_open(scene: Scene) -> None:
    await refuse(scene, RUN - 1)
    await scene.report(scene.event("m", "250 ok", "SENT"))
    await scene.message("one-more")
    await scene.report(scene.event("one-more", REFUSED, "BOUNCED"))
    assert await stopped(scene) == []
    for n in range(RUN):
        await scene.message(f"s{n}")
        await scene.report(scene.event(f"s{n}", REFUSED, "BOUNCED"))
    assert await stopped(scene) == OPEN
    await scene.message("under-way")
    await scene.report(scene.event("under-way", "250 ok", "SENT"))
    assert await stopped(scene) == []
    assert await scene.limits() == {
        "provider-egress google/px1": 4, "provider-domain google/acme.test": 4
    }  # fmt: skip


async def test_one_message_tries_a_half_open_breaker(store: Store, tmp_path: Path) -> None:
    dispatch = DispatchScene(store)
    await store.execute(
        sql("ALTER TABLE message_content DROP CONSTRAINT message_content_message_id_fkey")
    )
    await dispatch.prepare(tmp_path)
    scene = Scene(store)
    await refuse(scene, RUN)
    for id in ("a", "b", "c"):
        await dispatch.scheduled(id)
    await dispatch.scheduled("elsewhere", "m1-2@acme.test")
    await store.execute(sql("UPDATE message SET receiver = CASE id WHEN 'elsewhere' THEN 'yahoo'"
                            " ELSE 'google' END"))  # fmt: skip
    assert await dispatch.sent() == ["elsewhere"]
    # The pause passes.
    for table in ("breaker", "suspension"):
        await store.execute(sql(f"UPDATE {table} SET until = now() - interval '1 s'"))
    await Recovery(store).run_cycle()
    [trial] = await dispatch.sent()
    assert trial in {"a", "b", "c"}
    assert await dispatch.sent() == [], "one message, until its outcome is known"
    # It is refused: open again, longer.
    await scene.report(scene.event(trial, REFUSED, "BOUNCED", GOOGLE))
    assert await stopped(scene) == OPEN
    [(opened,), _] = await scene.rows("SELECT opened FROM breaker")
    assert opened == 2
    assert await dispatch.sent() == []
    for table in ("breaker", "suspension"):
        await store.execute(sql(f"UPDATE {table} SET until = now() - interval '1 s'"))
    [second] = await dispatch.sent()
    assert second != trial
    # It is taken: closed, and the rest goes (how fast, the planner says).
    await scene.report(scene.event(second, "250 ok", "SENT"))
    assert len(await dispatch.sent()) == 1
    actions = [row[0] for row in await scene.rows(
        "SELECT action FROM audit WHERE actor = 'controller/breaker'"
        " AND subject = 'provider-egress/google/px1' ORDER BY id")]  # fmt: skip
    assert actions == [
        "suspend-provider-egress", "try-provider-egress", "suspend-provider-egress",
        "try-provider-egress", "release-provider-egress",
    ]  # fmt: skip


async def test_a_trial_whose_outcome_never_comes_is_given_up(store: Store, tmp_path: Path) -> None:
    dispatch = DispatchScene(store)
    await store.execute(
        sql("ALTER TABLE message_content DROP CONSTRAINT message_content_message_id_fkey")
    )
    await dispatch.prepare(tmp_path)
    await dispatch.scheduled("a")
    await dispatch.scheduled("b")
    await store.execute(sql("UPDATE message SET provider = 'google', receiver = 'google'"))
    await store.execute(
        sql("INSERT INTO breaker (scope, provider, subject, position, opened, changed_at, until)"
            " VALUES ('provider-egress', 'google', 'px1', 'open', 1, now(), now())")
    )  # fmt: skip
    assert len(await dispatch.sent()) == 1
    assert await dispatch.sent() == []
    await store.execute(sql("UPDATE breaker SET trial_at = trial_at - interval '31 min'"))
    assert len(await dispatch.sent()) == 1


async def test_a_breaker_that_closed_is_forgotten_in_time(scene: Scene) -> None:
    await refuse(scene, 1)
    await scene.report(scene.event("m", "250 ok", "SENT"))
    await Recovery(scene.store).run_cycle()
    assert await scene.rows("SELECT * FROM breaker") == []


_MESSAGES = st.tuples(st.sampled_from(["px1", "px2"]), st.sampled_from(["a.test", "b.test"]))


@given(st.lists(_MESSAGES, min_size=1, max_size=8, unique=True), st.randoms())
def test_no_breaker_is_tried_by_two_messages(messages: list[tuple[str, str]], random: Any) -> None:
    """Whichever message was chosen for each half-open breaker."""
    rows = []
    for scope, place in (("provider-domain", 1), ("provider-egress", 0)):
        for subject in sorted({message[place] for message in messages}):
            egress, domain = random.choice([m for m in messages if m[place] == subject])
            chosen = {"id": f"{egress}/{domain}", "egress_id": egress, "domain": domain}
            rows.append({"scope": scope, "provider": "google", "subject": subject} | chosen)
    trials = assign_trials(rows)
    assert trials
    for column in (0, 1):
        behind = [id.split("/")[column] for id in trials]
        assert len(behind) == len(set(behind))
    for id, tried in trials.items():
        assert {row["subject"] for row in tried} == set(id.split("/"))
