"""Rendering: the same spec gives the same bytes, and those bytes are the ones in ref/.

After a wanted change of a template, write them anew:
`POSTFLEET_WRITE_REF=1 pytest tests/apply/test_render.py`, and read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from postfleet.v1 import spec_pb2

from node_agent.apply.layout import Layout
from node_agent.apply.read_spec import read_spec
from node_agent.apply.render import Rendered, render, render_nftables
from node_agent.gateway import config as gateway_config
from tests.apply.specs import good_spec

REF = Path(__file__).parent / "ref"
TEXTS = (
    "postfix/main.cf",
    "postfix/master.cf",
    "postfix/sender_transport",
    "postfix/senders",
    "opendkim/opendkim.conf",
    "opendkim/KeyTable",
    "opendkim/SigningTable",
    "gateway/egresses.json",
    "logrotate",
)


def _rendered(message: spec_pb2.NodeSpec) -> Rendered:
    return render(read_spec(message), b"spec", Layout())


def _spec() -> spec_pb2.NodeSpec:
    spec = good_spec(7)
    spec.egresses[1].address.address = "192.0.2.7"
    spec.mail.tls_level = spec_pb2.TLS_LEVEL_DANE
    return spec


def _compare(name: str, content: bytes) -> None:
    ref = REF / f"{name.replace('/', '-')}.ref"
    if os.environ.get("POSTFLEET_WRITE_REF"):
        ref.write_bytes(content)
    assert content.decode() == ref.read_text()


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_is_rendered_as_in_its_reference(name: str) -> None:
    _compare(name, _rendered(_spec())[name].content)


def test_the_firewall_is_rendered_as_in_its_reference() -> None:
    _compare("nftables.conf", render_nftables(Layout()))


def test_rendering_twice_gives_the_same_bytes() -> None:
    assert _rendered(_spec()) == _rendered(_spec())


def test_nothing_but_applied_spec_and_gateway_file_names_the_generation() -> None:
    one, other = _rendered(good_spec(1)), _rendered(good_spec(2))
    assert {path for path in one if one[path] != other[path]} == {"gateway/egresses.json"}


def test_secrets_are_readable_by_their_service_only() -> None:
    files = _rendered(_spec())
    assert (files["gateway/egresses.json"].mode, files["gateway/egresses.json"].group) == (
        0o640,
        "postfleet-gateway",
    )
    key = files["opendkim/keys/acme.test"]
    assert (key.mode, key.group) == (0o640, "opendkim")
    assert files["applied.spec"].mode == 0o600
    secrets = [path for path, file in files.items() if b"s3cret" in file.content]
    assert secrets == ["gateway/egresses.json"]


def test_the_gateway_reads_what_is_rendered_for_it() -> None:
    config = gateway_config.read(_rendered(_spec())["gateway/egresses.json"].content)
    assert config.generation == 7
    assert [egress.id for egress in config.egresses] == ["px001", "px002"]


def test_every_template_says_what_it_takes_and_where_it_is_described() -> None:
    templates = Path(__file__).parents[2] / "templates" / "postfix"
    for template in templates.glob("*.j2"):
        head = template.read_text().partition("-#}")[0]
        assert head.startswith("{#-"), template
        assert "Inputs:" in head, template
        assert "(5)" in head or "(8)" in head, template
