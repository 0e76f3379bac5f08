"""The agent as a process beside a real Postfix: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import os
import random
import signal

import pytest

from tests.agent.agent_box import Node, all_end, once_each, senders
from tests.agent.samples import dispatched, message_id

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


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
