"""What nodes report and what comes back is counted once, for mailbox, egress and domain."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from controller.feedback.entry import Kind, entry
from controller.feedback.take import About, take
from controller.store import Store
from tests.controller.small_fleet import sql
from tests.controller.throttle.test_follow import Scene
from tests.controller.throttle.test_follow import scene as scene


async def counts(store: Scene | Store, scope: str) -> Counter[tuple[str, str, str]]:
    of = store.store if isinstance(store, Scene) else store
    rows = await Scene(of).rows(
        f"SELECT subject, provider, kind, count FROM health_hour WHERE scope = '{scope}'"
    )
    return Counter({(subject, provider, kind): count for subject, provider, kind, count in rows})


async def test_each_outcome_counts_once_for_all_who_sent_it(scene: Scene) -> None:
    await scene.message("a")
    await scene.message("b", provider="small.example")
    gone = scene.event("b", "550 5.1.1 no such user", "BOUNCED", host="mx.small.example")
    ours = scene.event("m", "421 4.3.2 postfleet: px1 lease: over", gateway_stage="lease")
    events = [
        scene.event("a", "250 2.0.0 OK", "SENT"),
        gone,
        ours,
        scene.event("m", "450 4.7.1 blocked by our reputation list"),
        scene.event("m", "450 4.7.1 blocked by our reputation list"),
        scene.event("foreign", "250 2.0.0 OK", "SENT"),
    ]
    await scene.report(*events)
    await scene.report(*events)
    await scene.report(scene.event("m", "450 4.7.1 blocked by our reputation list"))
    named = {"mailbox": "m1-1@acme.test", "egress": "px1", "domain": "acme.test"}
    for scope, subject in named.items():
        assert await counts(scene, scope) == {
            (subject, "google", "sent"): 1,
            (subject, "other", "bounced:recipient"): 1,
            (subject, "google", "deferred:policy"): 1,
        }


async def test_warm_up_mail_counts_where_it_goes_wrong_alone(scene: Scene) -> None:
    await scene.message("a")
    await scene.message("b")
    await scene.store.execute(sql("UPDATE message SET lane = -1 WHERE id IN ('a', 'b')"))
    refused = scene.event("b", "550 5.7.1 blocked by our reputation list", "BOUNCED")
    await scene.report(scene.event("a", "250 2.0.0 OK", "SENT"), refused)
    assert await counts(scene, "mailbox") == {("m1-1@acme.test", "google", "bounced:policy"): 1}


async def test_feedback_counts_once_and_a_dry_one_never(scene: Scene) -> None:
    await scene.message("a")
    now = datetime.now(UTC)
    about = About("a", "acme", "r@google.test", "m1-1@acme.test", "px1", "google")
    row = entry(Kind.COMPLAINT, "0" * 26, "", "", None, "", now), about
    late = entry(Kind.BOUNCE, "0" * 26, "", "", None, "550 5.1.1 no such user", now), about
    for _ in range(2):
        await scene.store.run(lambda tx: take(tx, [row, late], "operator/test"))
    assert await counts(scene, "egress") == {
        ("px1", "google", "complaint"): 1,
        ("px1", "google", "bounced:recipient"): 1,
    }
