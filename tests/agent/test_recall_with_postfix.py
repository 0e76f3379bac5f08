"""Recall beside a real Postfix: what was not sent comes back whole and once, whoever dies when."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postfleet.v1 import local_pb2, node_pb2

from tests.agent.agent_box import Node, node
from tests.agent.samples import dispatched, message_id

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
HOLD = local_pb2.QUEUE_ACTION_HOLD_WAITING
DELETE = local_pb2.QUEUE_ACTION_DELETE_HELD


@pytest.fixture(params=["bookworm", "trixie"])
async def a_node(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path, request.param) as made:
        yield made


@pytest.fixture
async def one_node(tmp_path: Path) -> AsyncIterator[Node]:
    """For what does not depend on Postfix's version."""
    async with node(tmp_path, "bookworm") as made:
        yield made


def release(a_node: Node, epoch: int = 1) -> None:
    order = node_pb2.Release(egress_ids=["px001"], epoch=epoch)
    a_node.controller.say(node_pb2.ControllerMessage(release=order))


def senders(a_node: Node) -> Counter[str]:
    return Counter(r["sender"] for r in a_node.received())


def once_each(numbers: range) -> Counter[str]:
    return Counter({f"info+{message_id(n)}@a.test": 1 for n in numbers})


def places(a_node: Node) -> list[str]:
    return [str(q["queue_name"]) for q in a_node.box.queue()]


async def deferred(a_node: Node, *numbers: int, to: str = "defer-x@b.test") -> None:
    control = a_node.controller
    control.dispatch(*(dispatched(n, to) for n in numbers))
    await a_node.until(lambda: all("deferred" in control.kinds(n) for n in numbers))


async def test_a_release_recalls_what_is_deferred_and_says_when_to_try_again(a_node: Node) -> None:
    control = a_node.controller
    await deferred(a_node, 1, 2)
    control.dispatch(dispatched(3, "ok@b.test", delay_s=600))
    await a_node.until(lambda: message_id(3) in control.stored)
    release(a_node)
    await a_node.until(lambda: len(control.releases) == 1)
    assert control.releases[0].released
    assert places(a_node) == []
    for number in (1, 2):
        assert control.kinds(number)[0 :: len(control.kinds(number)) - 1] == ["queued", "returned"]
        returned, tried = control.event(number, "returned"), control.event(number, "deferred")
        # Postfix would wait for 300 s at least; the log's stamps are whole seconds.
        wait_s = returned.not_before.seconds - tried.at.seconds
        assert 300 <= wait_s <= 301
        assert returned.epoch == 1
    assert control.kinds(3) == ["returned"]
    assert not control.event(3, "returned").HasField("not_before")
    assert control.heard.index("release_result") > max(
        i for i, kind in enumerate(control.heard) if kind == "event_report"
    )


async def test_what_comes_back_can_be_sent_by_the_same_node_in_a_later_term(one_node: Node) -> None:
    control = one_node.controller
    await deferred(one_node, 1, to="once-x@b.test")
    release(one_node)
    await one_node.until(lambda: control.kinds(1)[-1] == "returned" and len(control.releases) == 1)
    control.epoch = 2
    control.dispatch(dispatched(1, "once-x@b.test", epoch=2))
    await one_node.until(lambda: control.kinds(1)[-1] == "sent")
    assert control.event(1, "sent").epoch == 2
    assert senders(one_node) == once_each(range(1, 2))


@pytest.mark.parametrize(("action", "done"), [(HOLD, False), (HOLD, True),
                                              (DELETE, False), (DELETE, True)])  # fmt: skip
async def test_an_agent_killed_at_a_step_of_the_recall_ends_it_and_tells_it_once(
    one_node: Node, action: int, done: bool
) -> None:
    control = one_node.controller
    await deferred(one_node, 1, 2, 3)
    killed = []

    def kill(now: int, is_done: bool) -> None:
        if (now, is_done) == (action, done) and not killed:
            killed.append(now)
            one_node.kill_agent()

    one_node.apply.at = kill
    release(one_node)
    await one_node.until(lambda: killed != [])
    assert all("returned" not in control.kinds(n) for n in (1, 2, 3))
    one_node.start_agent()
    await one_node.until(lambda: all(control.kinds(n)[-1] == "returned" for n in (1, 2, 3)))
    await one_node.until(lambda: places(one_node) == [])
    assert all(control.kinds(n).count("returned") == 1 for n in (1, 2, 3))
    assert not any("uncertain" in control.kinds(n) for n in (1, 2, 3))


async def test_what_a_crash_left_on_hold_goes_on_where_the_egress_came_back(
    one_node: Node,
) -> None:
    control = one_node.controller
    await deferred(one_node, 1, to="once-x@b.test")
    killed = []

    def kill(action: int, done: bool) -> None:
        if (action, done) == (HOLD, True) and not killed:
            killed.append(action)
            one_node.kill_agent()

    one_node.apply.at = kill
    release(one_node)
    await one_node.until(lambda: killed != [])
    held = places(one_node) == ["hold"]
    control.epoch = 2
    one_node.start_agent()
    await one_node.until(lambda: control.kinds(1)[-1] == "sent")
    assert held
    assert "returned" not in control.kinds(1)
    assert senders(one_node) == once_each(range(1, 2))


async def test_a_delivery_under_way_is_not_touched_and_ends_as_it_ends(a_node: Node) -> None:
    control = a_node.controller
    control.dispatch(dispatched(1, "slow-x@b.test"))
    await a_node.until(lambda: len(a_node.received()) == 1)
    release(a_node)
    await a_node.until(lambda: len(control.releases) == 1)
    await a_node.until(lambda: control.kinds(1) == ["queued", "sent"])
    await asyncio.sleep(2)
    assert control.kinds(1) == ["queued", "sent"]
    assert senders(a_node) == once_each(range(1, 2))


async def test_what_postfix_lets_go_of_late_follows_after_the_release(one_node: Node) -> None:
    control = one_node.controller
    main_cf = one_node.box.root / "etc/postfix/main.cf"
    main_cf.write_text(main_cf.read_text().replace("helo_timeout = 5s", "helo_timeout = 60s"))
    one_node.box.reload()
    one_node.greeting.write_text("wait 9 421 4.3.2 postfleet: px001 lease: closed in epoch 1")
    control.dispatch(dispatched(1, "ok@b.test"))
    await one_node.until(lambda: places(one_node) == ["active"])
    release(one_node)
    await one_node.until(lambda: len(control.releases) == 1)
    early = control.kinds(1)
    await one_node.until(lambda: control.kinds(1)[-1] == "returned")
    assert early == ["queued"]
    # No receiver was asked: whoever has it next may send it at once.
    assert not control.event(1, "returned").HasField("not_before")
    assert one_node.received() == []


async def test_an_uncertain_message_stays_on_hold(one_node: Node) -> None:
    control = one_node.controller
    control.dispatch(dispatched(1, "drop-x@b.test"))
    await one_node.until(lambda: places(one_node) == ["hold"])
    release(one_node)
    await one_node.until(lambda: len(control.releases) == 1)
    await asyncio.sleep(1)
    assert control.kinds(1) == ["queued", "uncertain"]
    assert places(one_node) == ["hold"]


async def test_what_an_operator_holds_is_left_to_the_operator(one_node: Node) -> None:
    control = one_node.controller
    await deferred(one_node, 1)
    (entry,) = one_node.box.queue()
    one_node.box.chroot("postsuper", "-h", str(entry["queue_id"]))
    release(one_node)
    await one_node.until(lambda: len(control.releases) == 1)
    assert places(one_node) == ["hold"]
    assert "returned" not in control.kinds(1)
    one_node.box.chroot("postsuper", "-H", str(entry["queue_id"]))
    await one_node.until(lambda: control.kinds(1)[-1] == "returned")


async def test_one_node_that_comes_back_after_its_term_returns_what_its_queue_still_has(
    one_node: Node,
) -> None:
    control = one_node.controller
    await deferred(one_node, 1, 2)
    one_node.kill_agent()
    control.epoch, control.egress_ids = 4, ["px002"]
    one_node.start_agent()
    await one_node.until(lambda: all(control.kinds(n)[-1] == "returned" for n in (1, 2)))
    assert control.event(1, "returned").epoch == 1
    assert places(one_node) == []


async def test_mail_of_an_earlier_term_goes_on_where_the_node_kept_the_egress(
    one_node: Node,
) -> None:
    control = one_node.controller
    await deferred(one_node, 1, to="once-x@b.test")
    control.epoch = 2
    await one_node.until(lambda: control.kinds(1) == ["queued", "deferred", "sent"])


async def test_a_cancel_takes_deferred_mail_out_of_the_queue(one_node: Node) -> None:
    control = one_node.controller
    await deferred(one_node, 1, 2)
    ids = [message_id(n) for n in (1, 3)]
    control.say(node_pb2.ControllerMessage(cancel=node_pb2.Cancel(message_ids=ids)))
    await one_node.until(lambda: control.kinds(1)[-1] == "returned")
    assert "returned" not in control.kinds(2)
    assert len(places(one_node)) == 1


async def test_where_the_log_lost_lines_nothing_is_recalled_that_may_have_been_sent(
    one_node: Node,
) -> None:
    control, box = one_node.controller, one_node.box
    await deferred(one_node, 1)
    one_node.kill_agent()
    box.log.write_text("")
    box.chroot("postlog", "-t", "postfix/other", "something else")
    one_node.start_agent()
    await one_node.until(lambda: len(control.hellos) == 2)
    release(one_node)
    await one_node.until(lambda: control.kinds(1)[-1] == "uncertain")
    assert places(one_node) == ["hold"]


async def test_while_apply_cannot_be_reached_the_mail_waits_and_follows(one_node: Node) -> None:
    control = one_node.controller
    await deferred(one_node, 1)
    one_node.apply.failure = ("queue", "postsuper: fatal: a test")
    release(one_node)
    await one_node.until(lambda: len(control.releases) == 1)
    assert control.releases[0].released
    one_node.apply.failure = None
    await one_node.until(lambda: control.kinds(1)[-1] == "returned")


async def test_moved_away_and_back_under_kills_everything_arrives_once(one_node: Node) -> None:
    control, dice = one_node.controller, random.Random(11)
    numbers = range(1, 61)
    kinds = ("once-x@b.test", "ok@b.test", "once-y@b.test")
    await one_node.until(lambda: one_node.gateway.leases > 0)
    control.dispatch(*(dispatched(n, kinds[n % 3]) for n in numbers))
    for epoch in range(2, 6):
        await asyncio.sleep(dice.uniform(0.3, 1.5))
        release(one_node, epoch - 1)
        await asyncio.sleep(dice.uniform(0.0, 3.0))
        one_node.kill_agent()
        control.epoch = epoch
        one_node.start_agent()
        hellos = len(control.hellos)
        await one_node.until(lambda h=hellos: len(control.hellos) > h)
        again = [n for n in numbers if control.kinds(n)[-1:] == ["returned"]]
        control.dispatch(*(dispatched(n, kinds[n % 3], epoch=epoch) for n in again))

    def all_sent() -> bool:
        again = [n for n in numbers if control.kinds(n)[-1:] == ["returned"]]
        back = [n for n in again if message_id(n) not in control._unstored]
        control.dispatch(*(dispatched(n, kinds[n % 3], epoch=5) for n in back))
        return all(control.kinds(n)[-1:] == ["sent"] for n in numbers)

    await one_node.until(all_sent, 120)
    assert senders(one_node) == once_each(numbers)
    assert control.holes() == []
