"""Fail closed: only the gateway gets out on an SMTP port, and only the agent gets mail in."""

from __future__ import annotations

import re

import pytest

from tests.apply.prepared_node import PYTHON, PreparedNode, eventually
from tests.apply.specs import good_spec

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(900)]

_CONNECT = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
s = socket.socket(family)
s.settimeout(2)
if sys.argv[1]: s.bind((sys.argv[1], 0))
try:
    s.connect((sys.argv[2], int(sys.argv[3])))
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""
# Nobody is there; what is not dropped would time out just the same, so the rule's counter tells.
OUTSIDE, OUTSIDE_6 = "203.0.113.200", "2001:db8::25"


@pytest.fixture
def node(node: PreparedNode) -> PreparedNode:
    if "current" not in node.run("ls /etc/postfleet"):
        assert node.apply(good_spec()).stage == ""
    node.run("ip -6 route replace 2001:db8::/32 dev $(ip -o -4 route show default | "
             "sed 's/.*dev //; s/ .*//') 2>/dev/null || true")  # fmt: skip
    return node


def _connect(node: PreparedNode, user: str, target: str, port: int, source: str = "") -> str:
    node.path("/tmp/connect.py").write_text(_CONNECT)
    command = f"{PYTHON} /tmp/connect.py '{source}' {target} {port}"
    return node.run_as(user, command).strip()


def _dropped(node: PreparedNode, rule: str) -> int:
    """Packets that the rule with this text has counted."""
    table = node.run("nft list chain inet postfleet out")
    counted = re.findall(rf"{rule}.*counter packets (\d+)", table)
    return sum(int(number) for number in counted)


@pytest.mark.parametrize("port", [25, 465, 587])
@pytest.mark.parametrize("target", [OUTSIDE, OUTSIDE_6])
@pytest.mark.parametrize("user", ["nobody", "root", "postfix", "postfleet-agent"])
def test_a_connection_of_another_user_is_dropped(
    user: str, target: str, port: int, node: PreparedNode
) -> None:
    if target == OUTSIDE_6 and not node.run("ip -6 route get 2001:db8::25 2>/dev/null || true"):
        pytest.skip("this lab's nodes have no IPv6 at all")
    before = _dropped(node, "skuid != ")
    assert _connect(node, user, target, port) != "connected"
    assert _dropped(node, "skuid != ") > before


def test_the_gateways_connection_is_not_dropped(node: PreparedNode) -> None:
    before = _dropped(node, "")
    _connect(node, "postfleet-gateway", OUTSIDE, 25)
    assert _dropped(node, "") == before


def test_nobody_borrows_a_surrogate_address(node: PreparedNode) -> None:
    before = _dropped(node, "skuid != ")
    assert _connect(node, "nobody", OUTSIDE, 25, source="198.18.0.1") != "connected"
    assert _dropped(node, "skuid != ") > before


@pytest.mark.parametrize(("port", "allowed"), [(10025, ()), (10587, ("postfleet-agent", "root"))])
def test_the_doors_inside_open_to_whom_they_are_for(
    port: int, allowed: tuple[str, ...], node: PreparedNode
) -> None:
    for user in ("nobody", "postfix", "postfleet-agent", "root"):
        answer = _connect(node, user, "127.0.0.1", port)
        assert answer == ("connected" if user in allowed else "ConnectionRefusedError"), user


def test_nobody_listens_for_mail_from_outside(node: PreparedNode) -> None:
    listening = node.run("ss -Hltn 'sport = :25 or sport = :465 or sport = :587 or sport = :10587'")
    assert [line.split()[3] for line in listening.splitlines()] == ["127.0.0.1:10587"]


def test_sendmail_is_of_no_use(node: PreparedNode) -> None:
    refused = node.run("echo hello | sendmail x@example.test 2>&1 || true")
    assert "not allowed to submit" in refused
    assert node.queue() == []


def test_flushing_the_firewall_with_debians_service_brings_the_rules_back(
    node: PreparedNode,
) -> None:
    node.run("systemctl start nftables && systemctl restart nftables")
    eventually(
        lambda: "postfleet" in node.run("nft list tables"),
        lambda: node.run("nft list ruleset; systemctl status postfleet-net"),
    )
    node.run("systemctl reload nftables")
    eventually(
        lambda: "postfleet" in node.run("nft list tables"),
        lambda: node.run("nft list ruleset; systemctl status postfleet-net"),
    )
    assert node.apply(good_spec(10**6)).stage == ""


def test_without_the_rules_postfix_does_not_run(node: PreparedNode) -> None:
    node.run("systemctl stop nftables; systemctl start nftables; systemctl stop nftables")
    assert "postfleet" not in node.run("nft list tables")
    eventually(
        lambda: "running" not in node.run("postfix status 2>&1; true").replace("not running", ""),
        lambda: "Postfix still runs without the rules",
    )
    spec = good_spec(10**6)
    assert node.apply(spec).stage == ""
    assert "postfleet" in node.run("nft list tables")
