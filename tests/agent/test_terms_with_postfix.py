"""What may be handed over to a real Postfix and when: leases, terms, suspensions, releases."""

from __future__ import annotations

import asyncio
import time

import pytest
from postfleet.v1 import node_pb2

from tests.agent.agent_box import Node
from tests.agent.samples import dispatched, message_id

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


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


async def test_without_room_for_the_log_nothing_leaves(one_node: Node) -> None:
    control = one_node.controller
    one_node.kill_agent()
    one_node.postfix_settings = f"min_log_octets = {1 << 60}"
    one_node.start_agent()
    control.dispatch(dispatched(1, "ok@b.test"))
    await one_node.until(lambda: message_id(1) in control.stored)
    await one_node.until(lambda: "disk-full" in one_node.gateway.suspended.get("px001", ""))
    await asyncio.sleep(1.5)
    assert control.kinds(1) == []
    one_node.kill_agent()
    one_node.postfix_settings = ""
    one_node.start_agent()
    await one_node.until(lambda: control.kinds(1) == ["queued", "sent"])


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
