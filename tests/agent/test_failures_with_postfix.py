"""What is around the agent fails: controller, Postfix, milter, gateway, disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from postfleet.v1 import node_pb2

from tests.agent.agent_box import Node, all_end, node, once_each, senders
from tests.agent.samples import dispatched, message_id

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


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
