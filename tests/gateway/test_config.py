"""A bad file is refused whole, with every problem named and no secret told."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from node_agent.gateway.config import (
    EgressConfig,
    GatewayConfig,
    Socks5Proxy,
    load,
    read,
    to_json,
)
from node_agent.gateway.errors import ConfigError

PROXY = {"host": "192.0.2.1", "port": 1080, "username": "u", "password": "hunter2"}


def egress(**fields: object) -> dict[str, object]:
    return {"id": "e1", "surrogate_address": "198.18.0.1", "socks5": PROXY} | fields


def problem(*egresses: dict[str, object], **fields: object) -> str:
    with pytest.raises(ConfigError) as caught:
        read(json.dumps({"version": 1, "egresses": list(egresses)} | fields))
    assert "hunter2" not in str(caught.value)
    return str(caught.value)


def test_what_apply_writes_is_what_the_gateway_reads():
    config = GatewayConfig(
        generation=4,
        connect_timeout_ms=5000,
        allow_target_nets=("203.0.113.0/24",),
        egresses=(
            EgressConfig(
                id="e1",
                surrogate_address=IPv4Address("198.18.0.1"),
                socks5=Socks5Proxy(host="p.test", port=1, username="u", password='p"\u00e9'),
            ),
            EgressConfig(
                id="e2",
                surrogate_address=IPv4Address("198.19.255.254"),
                address=IPv4Address("192.0.2.7"),
            ),
        ),
    )
    assert read(to_json(config)) == config
    assert config.by_surrogate["198.18.0.1"].id == "e1"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (egress(id="E 1"), "egresses.0.id"),
        (egress(surrogate_address="10.0.0.1"), "within 198.18.0.0/15"),
        (egress(surrogate_address="198.18.255.254"), "is the probe's"),
        (egress(address="192.0.2.7"), "exactly one of socks5 and address"),
        (egress(socks5=None), "exactly one of socks5 and address"),
        (egress(socks5=PROXY | {"port": 0}), "egresses.0.socks5.port"),
        (egress(socks5=PROXY | {"host": "a b"}), "egresses.0.socks5.host"),
        (egress(socks5=PROXY | {"username": ""}), "both or none"),
        (egress(socks5=PROXY | {"username": "x" * 256}), "255 octets"),
        (egress(socks5=PROXY | {"colour": "hunter2"}), "egresses.0.socks5.colour"),
    ],
)
def test_a_wrong_egress_is_named_by_its_place(wrong, named):
    assert named in problem(wrong)


def test_all_problems_come_at_once():
    words = problem(egress(id="?"), egress(id="e2", socks5=PROXY | {"port": 0}), version=2)
    assert "version" in words
    assert "egresses.0.id" in words
    assert "egresses.1.socks5.port" in words


def test_an_id_or_a_surrogate_used_twice_is_refused():
    assert "appears twice" in problem(egress(), egress(surrogate_address="198.18.0.2"))
    assert "appears twice" in problem(egress(), egress(id="e2"))


def test_no_representation_tells_a_password():
    config = read(json.dumps({"egresses": [egress()]}))
    assert "hunter2" not in repr(config) + str(config)


def test_a_file_that_is_not_there_or_not_json_is_a_config_error(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none\.json: No such file"):
        load(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text('{"version": 1, "egr')
    with pytest.raises(ConfigError, match=r"cut\.json: file: Invalid JSON"):
        load(tmp_path / "cut.json")
