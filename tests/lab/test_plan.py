"""Addresses and rules are arithmetic; here are its edges."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from lab.network_rules import host_rules, resolver_rules, router_rules
from lab.plan import MAX_LABS, AddressPlan
from lab.settings import LabSettings


def test_labs_of_different_index_share_no_node_address() -> None:
    nets = [AddressPlan(index).node_net for index in range(MAX_LABS)]
    assert not any(a.overlaps(b) for a in nets for b in nets if a is not b)


def test_the_first_node_of_the_first_lab_is_where_the_reference_fleet_expects_it() -> None:
    assert AddressPlan(0).node(1) == IPv4Address("10.80.1.1")
    assert AddressPlan(0).controller == IPv4Address("10.80.0.1")


def test_nodes_never_get_the_controllers_or_the_routers_address() -> None:
    plan = AddressPlan(3)
    assert plan.node(1) > plan.router > plan.controller


@pytest.mark.parametrize("number", [0, -1, 60_001])
def test_a_node_number_outside_the_network_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="node number"):
        AddressPlan(0).node(number)


@pytest.mark.parametrize("index", [-1, MAX_LABS])
def test_a_lab_index_outside_the_plan_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="lab index"):
        AddressPlan(index)


@pytest.mark.parametrize("name", ["", "Demo", "a-b", "1a", "thirteenchars", "x y", "../x"])
def test_a_lab_name_that_could_not_be_part_of_other_names_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="lab name"):
        LabSettings(name=name)


def test_the_router_drops_mail_to_the_outside_before_anything_is_let_through() -> None:
    lines = [line.strip() for line in router_rules(AddressPlan(0)).splitlines()]
    mail = next(n for n, line in enumerate(lines) if "25, 465, 587" in line)
    packages = next(n for n, line in enumerate(lines) if "80, 443" in line)
    assert mail < packages
    assert "policy drop" in lines[lines.index("chain forward {") + 1]


def test_the_host_repeats_the_limit_and_masquerades_the_router_only() -> None:
    text = host_rules(AddressPlan(1), "t")
    assert 'iifname "pflab1" drop' in text
    assert "ip saddr 10.81.0.2" in text


def test_without_an_upstream_the_resolvers_queries_stay_in_the_lab() -> None:
    assert "dnat" not in resolver_rules(None)
    assert "dnat to 192.0.2.1" in resolver_rules(IPv4Address("192.0.2.1"))
