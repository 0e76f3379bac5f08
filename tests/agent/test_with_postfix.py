"""The agent as a process beside a real Postfix: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postfleet.v1 import node_pb2

from tests.agent.agent_box import Node, node
from tests.agent.standins import dispatched, message_id

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


@pytest.fixture(params=["bookworm", "trixie"])
async def a_node(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path, request.param) as made:
        yield made


@pytest.fixture
async def one_node(tmp_path: Path) -> AsyncIterator[Node]:
    """For what does not depend on Postfix's version."""
    async with node(tmp_path, "bookworm") as made:
        yield made


def senders(a_node: Node) -> Counter[str]:
    return Counter(r["sender"] for r in a_node.received())


def once_each(numbers: range) -> Counter[str]:
    return Counter({f"info+{message_id(n)}@a.test": 1 for n in numbers})


def all_end(a_node: Node, numbers: range, kind: str) -> bool:
    return all(a_node.controller.kinds(n)[-1:] == [kind] for n in numbers)


async def test_a_dispatched_message_is_sent_once_and_told_with_its_evidence(a_node: Node) -> None:
    a_node.controller.dispatch(dispatched(1, "ok@b.test"))
    await a_node.until(lambda: a_node.controller.kinds(1) == ["queued", "sent"])
    sent = a_node.controller.event(1, "sent")
    assert "status=sent (250 2.0.0 Ok: taken)" in sent.log_line
    assert (sent.dsn, sent.reason) == ("2.0.0", "250 2.0.0 Ok: taken")
    (record,) = a_node.received()
    assert record["sender"] == "info+00000000000000000000000001@a.test"
    assert record["content"].endswith("\r\n\r\nhello\r\n.dot\r\n")


async def test_each_outcome_is_told_as_postfix_names_it(a_node: Node) -> None:
    control = a_node.controller
    control.dispatch(
        dispatched(1, "once-x@b.test"),
        dispatched(2, "bounce-x@b.test"),
        dispatched(3, "not-an-address"),
        dispatched(4, "no-domain@localhost"),
        dispatched(5, "ünï@b.test"),
        dispatched(6, "ok@b.test"),
    )
    await a_node.until(lambda: control.kinds(1) == ["queued", "deferred", "sent"])
    await a_node.until(lambda: control.kinds(2) == ["queued", "bounced"])
    await a_node.until(lambda: control.refused == {message_id(3): "malformed"})
    await a_node.until(lambda: control.kinds(4) == ["refused"])
    await a_node.until(lambda: control.kinds(5) == control.kinds(6) == ["queued", "sent"])
    assert control.event(2, "bounced").dsn == "5.1.1"
    assert control.event(1, "deferred").relay == "127.0.0.1[127.0.0.1]:2525"
    assert control.event(4, "refused").reason.startswith("504 5.5.2 <no-domain@localhost>")


async def test_an_unanswered_final_dot_is_uncertain_and_held_before_postfix_tries_again(
    a_node: Node,
) -> None:
    control = a_node.controller
    control.dispatch(dispatched(1, "drop-x@b.test"), dispatched(2, "stall-x@b.test"))
    await a_node.until(lambda: control.kinds(1) == ["queued", "uncertain"])
    await a_node.until(lambda: control.kinds(2) == ["queued", "uncertain"])
    await a_node.until(lambda: [q["queue_name"] for q in a_node.box.queue()] == ["hold"] * 2)
    await asyncio.sleep(5)
    assert senders(a_node) == once_each(range(1, 3))


async def test_a_delivery_whose_smtp_process_is_killed_is_uncertain_and_held(a_node: Node) -> None:
    control = a_node.controller
    control.dispatch(dispatched(1, "stall-x@b.test"))
    await a_node.until(lambda: len(a_node.received()) == 1)
    for pid in a_node.box.inner_pids("smtp"):
        os.kill(pid, signal.SIGKILL)
    await a_node.until(lambda: control.kinds(1) == ["queued", "uncertain"])
    await a_node.until(lambda: [q["queue_name"] for q in a_node.box.queue()] == ["hold"])
    await asyncio.sleep(5)
    assert senders(a_node) == once_each(range(1, 2))


async def test_killed_at_any_moment_it_loses_nothing_and_doubles_nothing(a_node: Node) -> None:
    control, dice = a_node.controller, random.Random(7)
    numbers = range(1, 401)
    for start in range(1, 401, 40):
        control.dispatch(*(dispatched(n, "ok@b.test") for n in range(start, start + 40)))
        await asyncio.sleep(dice.uniform(0.0, 0.4))
        a_node.kill_agent()
        a_node.start_agent()
        await asyncio.sleep(dice.uniform(0.8, 2.5))
    await a_node.until(lambda: all_end(a_node, numbers, "sent"), 120)
    assert senders(a_node) == once_each(numbers)
    assert all(control.kinds(n) == ["queued", "sent"] for n in numbers)
    assert control.holes() == []


async def test_it_survives_a_restart_of_postlogd_and_rotations_of_the_log(a_node: Node) -> None:
    control, box = a_node.controller, a_node.box
    numbers = range(1, 121)
    for start in range(1, 121, 20):
        control.dispatch(*(dispatched(n, "ok@b.test") for n in range(start, start + 20)))
        await asyncio.sleep(0.3)
        if start % 40 == 1:
            for pid in box.inner_pids("postlogd"):
                os.kill(pid, signal.SIGKILL)
        else:
            box.log.rename(box.log.with_name(f"mail.log.{start}"))
            box.log.touch(0o644)
            box.reload()
        if start == 61:
            a_node.kill_agent()
            a_node.start_agent()
    await a_node.until(lambda: all_end(a_node, numbers, "sent"))
    assert senders(a_node) == once_each(numbers)


async def test_outcomes_lost_with_a_truncated_log_become_uncertain(one_node: Node) -> None:
    control, box = one_node.controller, one_node.box
    one_node.greeting.write_text("421 4.3.2 postfleet: px001 lease: it is over")
    control.dispatch(dispatched(1, "ok@b.test"))
    await one_node.until(lambda: "deferred" in control.kinds(1))
    one_node.kill_agent()
    one_node.greeting.write_text("")
    await one_node.until(lambda: len(one_node.received()) == 1)
    await one_node.until(lambda: box.queue() == [])
    box.log.write_text("")
    box.chroot("postlog", "-t", "postfix/other", "something else")
    one_node.start_agent()
    await one_node.until(lambda: control.kinds(1)[-1] == "uncertain")


async def test_the_gateways_refusals_are_told_with_their_stage_and_not_repeated_unheard(
    one_node: Node,
) -> None:
    control = one_node.controller
    control.acking = False
    one_node.greeting.write_text("421 4.3.2 postfleet: px001 proxy-auth: wrong password")
    control.dispatch(dispatched(1, "ok@b.test"))
    await one_node.until(lambda: control.kinds(1) == ["queued", "deferred"])
    event = control.event(1, "deferred")
    assert event.gateway_stage == "proxy-auth"
    await asyncio.sleep(8)
    assert control.kinds(1) == ["queued", "deferred"]
    one_node.greeting.write_text("")
    await one_node.until(lambda: control.kinds(1) == ["queued", "deferred", "sent"])


async def test_without_a_lease_nothing_is_handed_over(one_node: Node) -> None:
    control = one_node.controller
    control.granting = False
    await one_node.until(lambda: len(control.hellos) > 0)
    control.dispatch(dispatched(1, "ok@b.test"))
    await one_node.until(lambda: control.stored == [message_id(1)])
    await asyncio.sleep(2)
    assert control.kinds(1) == []
    control.granting = True
    await one_node.until(lambda: control.kinds(1) == ["queued", "sent"])


async def test_the_controllers_clock_decides_what_is_due_and_not_the_machines(
    one_node: Node,
) -> None:
    """The two differ by an hour, as after a step of either."""
    control, hour_s = one_node.controller, 3600
    control.clock_ahead_ms = -hour_s * 1000
    await one_node.until(lambda: one_node.gateway.leases > 0)
    await asyncio.sleep(1)  # a grant with that clock
    control.dispatch(dispatched(1, "ok@b.test"), dispatched(2, "ok@b.test", delay_s=1.5 * hour_s))
    await one_node.until(lambda: len(control.stored) == 2)
    await asyncio.sleep(2)
    assert control.kinds(1) == []
    control.clock_ahead_ms = hour_s * 1000
    await one_node.until(lambda: control.kinds(1) == ["queued", "sent"])
    assert control.kinds(2) == []


async def test_a_lease_that_is_not_renewed_stops_the_hand_over(one_node: Node) -> None:
    control = one_node.controller
    control.ttl_ms, control.margin_ms = 3000, 500
    await one_node.until(lambda: one_node.gateway.leases > 1)
    control.granting = False
    await asyncio.sleep(3)
    control.dispatch(dispatched(1, "ok@b.test"))
    await one_node.until(lambda: control.stored == [message_id(1)])
    await asyncio.sleep(2)
    assert control.kinds(1) == []
    lease = one_node.gateway.lease
    assert lease.trusted_until_ns < time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert lease.expires_at_ns - lease.trusted_until_ns == 500_000_000


async def test_a_new_term_returns_what_was_dispatched_for_the_old_one(one_node: Node) -> None:
    control = one_node.controller
    control.dispatch(dispatched(1, "ok@b.test", delay_s=600))
    await one_node.until(lambda: control.stored == [message_id(1)])
    control.epoch = 2
    await one_node.until(lambda: control.kinds(1) == ["returned"])
    assert control.event(1, "returned").epoch == 1
    control.dispatch(dispatched(2, "ok@b.test", epoch=1), dispatched(1, "ok@b.test", epoch=2))
    await one_node.until(lambda: control.refused == {message_id(2): "stale-epoch"})
    await one_node.until(lambda: control.kinds(1) == ["returned", "queued", "sent"])


async def test_suspensions_hold_mail_back_and_close_the_egress(one_node: Node) -> None:
    control = one_node.controller
    await one_node.until(lambda: one_node.gateway.leases > 0)
    for scope, subject in (
        (node_pb2.SUSPENSION_SCOPE_CLIENT, "acme"),
        (node_pb2.SUSPENSION_SCOPE_EGRESS, "px001"),
    ):
        stop = node_pb2.Suspension(scope=scope, subject=subject, reason="test")
        control.say(
            node_pb2.ControllerMessage(suspensions=node_pb2.Suspensions(suspensions=[stop]))
        )
        await asyncio.sleep(0.5)
        control.dispatch(dispatched(scope, "ok@b.test"))
        await one_node.until(lambda s=scope: message_id(s) in control.stored)
        await asyncio.sleep(1.5)
        assert control.kinds(scope) == []
    assert one_node.gateway.suspended == {"px001": "test"}
    control.say(node_pb2.ControllerMessage(suspensions=node_pb2.Suspensions()))
    await one_node.until(lambda: control.kinds(4) == control.kinds(2) == ["queued", "sent"])
    assert one_node.gateway.suspended == {}


async def test_a_release_closes_first_and_returns_what_postfix_does_not_have(
    one_node: Node,
) -> None:
    control, gateway = one_node.controller, one_node.gateway
    control.dispatch(dispatched(1, "ok@b.test"), dispatched(2, "ok@b.test", delay_s=600))
    await one_node.until(lambda: control.kinds(1) == ["queued", "sent"])
    gateway.open_connections = 1
    control.say(node_pb2.ControllerMessage(release=node_pb2.Release(egress_ids=["px001"], epoch=1)))
    await one_node.until(lambda: "px001" in gateway.closed)
    await asyncio.sleep(1)
    assert control.releases == []
    gateway.open_connections = 0
    await one_node.until(lambda: len(control.releases) == 1)
    assert control.releases[0].released
    assert control.kinds(2) == ["returned"]
    assert control.heard.index("release_result") > max(
        i for i, kind in enumerate(control.heard) if kind == "event_report"
    )
    await one_node.until(lambda: list(gateway.lease.egress_ids) == [])
    control.dispatch(dispatched(3, "ok@b.test"))
    await one_node.until(lambda: control.refused == {message_id(3): "unknown-egress"})


async def test_a_cancelled_message_returns_unless_postfix_has_it(one_node: Node) -> None:
    control = one_node.controller
    control.dispatch(dispatched(1, "defer-x@b.test"), dispatched(2, "ok@b.test", delay_s=600))
    await one_node.until(lambda: "deferred" in control.kinds(1) and len(control.stored) == 2)
    ids = [message_id(n) for n in (1, 2, 3)]
    control.say(node_pb2.ControllerMessage(cancel=node_pb2.Cancel(message_ids=ids)))
    await one_node.until(lambda: control.kinds(2) == ["returned"])
    assert "returned" not in control.kinds(1)


async def test_a_controller_that_is_gone_for_long_misses_nothing(one_node: Node) -> None:
    control = one_node.controller
    control.ttl_ms = 60_000
    await one_node.until(lambda: one_node.gateway.lease.expires_at_ns > 0)
    await asyncio.sleep(0.5)
    numbers = range(1, 201)
    control.dispatch(*(dispatched(n, "ok@b.test", delay_s=3) for n in numbers))
    await one_node.until(lambda: len(control.stored) == 200)
    await control.stop()
    await one_node.until(lambda: len(one_node.received()) == 200)
    await asyncio.sleep(3)
    await control.start()
    await one_node.until(lambda: all_end(one_node, numbers, "sent"), 90)
    assert control.holes() == []
    assert senders(one_node) == once_each(numbers)


async def test_nonsense_from_the_controller_is_refused_and_the_session_goes_on(
    one_node: Node,
) -> None:
    control = one_node.controller
    await one_node.until(lambda: one_node.gateway.leases > 0)
    good = dispatched(9, "ok@b.test")
    wrong = [
        node_pb2.DispatchedMessage(),
        dispatched(2, "a b\r\nRSET@b.test"),
        dispatched(3, "ok@b.test", content=b"Subject: x\n\nbare line ends\n"),
    ]
    wrong[2].mailbox = "no mailbox"
    for nonsense in (
        node_pb2.ControllerMessage(),
        node_pb2.ControllerMessage(lease_grant=node_pb2.LeaseGrant(heartbeat_seq=10**9, epoch=9)),
        node_pb2.ControllerMessage(
            lease_grant=node_pb2.LeaseGrant(heartbeat_seq=1, epoch=0, ttl_ms=1, margin_ms=5)
        ),
        node_pb2.ControllerMessage(event_ack=node_pb2.EventAck(spool_id="x", up_to_seq=2**60)),
        node_pb2.ControllerMessage(
            event_ack=node_pb2.EventAck(spool_id=control.hellos[0].spool_id, up_to_seq=2**62)
        ),
        node_pb2.ControllerMessage(
            suspensions=node_pb2.Suspensions(suspensions=[node_pb2.Suspension(subject="x")])
        ),
        node_pb2.ControllerMessage(release=node_pb2.Release(egress_ids=["nowhere"], epoch=0)),
        node_pb2.ControllerMessage(dispatch=node_pb2.Dispatch(messages=wrong)),
        node_pb2.ControllerMessage(cancel=node_pb2.Cancel(message_ids=["", "x" * 9999])),
    ):
        control.say(nonsense)
    control.dispatch(good)
    await one_node.until(lambda: control.kinds(9) == ["queued", "sent"])
    assert len(control.hellos) == 1
    assert set(control.refused.values()) == {"malformed"}


async def test_a_stop_finishes_the_batch_under_way(one_node: Node) -> None:
    control = one_node.controller
    control.dispatch(*(dispatched(n, "ok@b.test") for n in range(1, 201)))
    await one_node.until(lambda: len(control.stored) == 200)
    assert await one_node.stop_agent() == 0
    one_node.start_agent()
    await one_node.until(lambda: all_end(one_node, range(1, 201), "sent"))
    assert senders(one_node) == once_each(range(1, 201))


async def test_a_spec_that_cannot_be_applied_is_told_and_the_old_one_stays(
    one_node: Node,
) -> None:
    control = one_node.controller
    await one_node.until(lambda: [r.applied for r in control.spec_results] == [True])
    one_node.apply.failure = ("check", "postconf: warning: bananas")
    spec = type(control.spec)()
    spec.CopyFrom(control.spec)
    spec.generation = 2
    control.say(node_pb2.ControllerMessage(spec=spec))
    await one_node.until(lambda: len(control.spec_results) == 2)
    result = control.spec_results[-1]
    assert (result.applied, result.stage, result.running_generation) == (False, "check", 1)


async def test_what_a_dead_postfix_was_delivering_stays_on_hold_and_is_uncertain(
    a_node: Node,
) -> None:
    control, box = a_node.controller, a_node.box
    control.dispatch(dispatched(1, "stall-x@b.test"), dispatched(2, "defer-x@b.test"))
    await a_node.until(lambda: len(a_node.received()) == 1)
    await a_node.until(lambda: control.kinds(2)[-1:] == ["deferred"])
    box.kill()
    box.hold_active()
    box.start()
    await a_node.until(lambda: control.kinds(1) == ["queued", "uncertain"])
    assert control.event(1, "uncertain").reason == "a connection was open: maybe sent"
    await asyncio.sleep(4)
    assert senders(a_node) == once_each(range(1, 2))


async def test_what_was_held_although_the_log_tells_its_end_is_removed(one_node: Node) -> None:
    control, box = one_node.controller, one_node.box
    control.dispatch(dispatched(1, "stall-x@b.test"))
    await one_node.until(lambda: len(one_node.received()) == 1)
    (queued,) = box.queue()
    one_node.kill_agent()
    box.kill()
    box.hold_active()
    with box.log.open("a") as log:
        # smtp(8) outlived master(8): the receiver answered after all.
        log.write(
            f"{time.strftime('%b %e %H:%M:%S')} box postfix/egress-px001/smtp[9]: "
            f"{queued['queue_id']}: to=<stall-x@b.test>, relay=127.0.0.1[127.0.0.1]:2525, delay=1, "
            "delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: taken)\n"
        )
    box.start()
    one_node.start_agent()
    await one_node.until(lambda: control.kinds(1) == ["queued", "sent"])
    await one_node.until(lambda: box.queue() == [])


async def test_a_discarded_message_leaves_the_queue_and_is_taken_again(one_node: Node) -> None:
    control, box = one_node.controller, one_node.box
    control.dispatch(dispatched(1, "drop-x@b.test"))
    await one_node.until(lambda: control.kinds(1) == ["queued", "uncertain"])
    await one_node.until(lambda: [q["queue_name"] for q in box.queue()] == ["hold"])
    held = node_pb2.HeldMessage(
        message_id=message_id(1), queue_id=control.event(1, "uncertain").queue_id
    )
    other = node_pb2.HeldMessage(message_id=message_id(1), queue_id="4jZVHb3Ds7znnQq")
    control.say(node_pb2.ControllerMessage(discard=node_pb2.Discard(messages=[other])))
    await one_node.until(lambda: len(control.discarded) == 1)
    assert len(box.queue()) == 1
    control.say(node_pb2.ControllerMessage(discard=node_pb2.Discard(messages=[held])))
    await one_node.until(lambda: control.discarded[1:] == [[message_id(1)]])
    assert box.queue() == []
    control.dispatch(dispatched(1, "ok@b.test"))
    await one_node.until(lambda: control.kinds(1)[-1:] == ["sent"])


async def test_smtpd_and_postfix_may_die_during_the_hand_over(a_node: Node) -> None:
    control, box, dice = a_node.controller, a_node.box, random.Random(3)
    numbers = range(1, 301)
    control.dispatch(*(dispatched(n, "ok@b.test") for n in numbers))
    for _ in range(6):
        await asyncio.sleep(dice.uniform(0.1, 0.6))
        for pid in box.inner_pids("smtpd") + box.inner_pids("cleanup"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    await a_node.until(lambda: all_end(a_node, numbers, "sent"), 150)
    assert senders(a_node) == once_each(numbers)


async def test_a_milter_that_is_down_defers_the_hand_over_and_loses_nothing(
    tmp_path: Path,
) -> None:
    """Sessions are busy all the time: in one that met the milter down, smtpd never asks again."""
    milter = "smtpd_milters = inet:127.0.0.1:8891\nmilter_default_action = tempfail\n"
    async with node(tmp_path, "bookworm", milter) as a_node:
        control = a_node.controller
        control.dispatch(*(dispatched(n, "ok@b.test") for n in range(1, 11)))
        await a_node.until(lambda: len(control.stored) == 10)
        await a_node.until(lambda: "intake-trouble" in a_node.agent_log.read_text())
        await asyncio.sleep(2)
        assert control.events == {}
        main_cf = a_node.box.root / "etc/postfix/main.cf"
        main_cf.write_text(main_cf.read_text().replace(milter, ""))
        a_node.box.reload()
        for number in range(11, 41):
            control.dispatch(dispatched(number, "ok@b.test"))
            await asyncio.sleep(0.3)
        await a_node.until(lambda: all_end(a_node, range(1, 41), "sent"), 120)


async def test_without_the_gateway_nothing_is_handed_over(one_node: Node) -> None:
    control = one_node.controller
    await one_node.until(lambda: one_node.gateway.leases > 0)
    await one_node.gateway.stop()
    await asyncio.sleep(1)
    control.dispatch(dispatched(1, "ok@b.test"))
    await one_node.until(lambda: control.stored == [message_id(1)])
    await asyncio.sleep(2)
    assert control.kinds(1) == []
    await one_node.gateway.start()
    await one_node.until(lambda: control.kinds(1) == ["queued", "sent"])


async def test_a_full_disk_refuses_new_mail_and_finishes_the_old(tmp_path: Path) -> None:
    image, spool = tmp_path / "image", tmp_path / "spool"
    spool.mkdir()
    with image.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(spool)], check=True)
    try:
        async with node(tmp_path, "bookworm") as a_node:
            control = a_node.controller
            a_node.kill_agent()
            a_node.spool_settings = "reserve_octets = 2000000\nmin_free_octets = 1000000"
            a_node.start_agent()
            control.dispatch(*(dispatched(n, "ok@b.test", delay_s=15) for n in range(1, 51)))
            await a_node.until(lambda: len(control.stored) == 50)
            with contextlib.suppress(OSError), (spool / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 512)
            control.dispatch(dispatched(99, "ok@b.test"))
            await a_node.until(lambda: control.refused == {message_id(99): "disk-full"})
            await a_node.until(lambda: all_end(a_node, range(1, 51), "sent"))
            (spool / "filler").unlink()
            control.dispatch(dispatched(99, "ok@b.test"))
            await a_node.until(lambda: control.kinds(99) == ["queued", "sent"])
            assert senders(a_node) == once_each(range(1, 51)) + once_each(range(99, 100))
    finally:
        subprocess.run(["umount", str(spool)], check=True)


async def test_ten_thousand_spooled_for_150_mailboxes_fit_into_120_megabytes(
    one_node: Node,
) -> None:
    control = one_node.controller
    await one_node.until(lambda: one_node.gateway.leases > 0)
    spec = type(control.spec)()
    spec.CopyFrom(control.spec)
    spec.generation = 2
    spec.egresses[0].mailboxes.extend(f"m{n}@a.test" for n in range(149))
    control.say(node_pb2.ControllerMessage(spec=spec))
    body = b"Subject: x\r\n\r\n" + (b"x" * 76 + b"\r\n") * 52
    messages = [dispatched(n, "ok@b.test", delay_s=3600, content=body) for n in range(10_000)]
    for n, message in enumerate(messages):
        message.mailbox = spec.egresses[0].mailboxes[n % 150]
    control.dispatch(*messages)
    await one_node.until(lambda: len(control.stored) == 10_000, 200)
    status = Path(f"/proc/{one_node.agent_pid}/status").read_text()
    (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    assert int(peak) * 1024 <= 120_000_000
