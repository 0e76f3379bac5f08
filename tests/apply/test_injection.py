"""Whatever passes validation is a value and nothing more: no line, parameter or service."""

from __future__ import annotations

import re

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from postfleet.v1 import spec_pb2

from node_agent.apply.errors import ValidationFailed
from node_agent.apply.layout import Layout
from node_agent.apply.read_spec import read_spec
from node_agent.apply.render import Rendered, render
from tests.apply.specs import good_spec

# Good values with something in them that configuration files care about, and plain noise.
_POISON = st.sampled_from(
    [
        *"\n\r\t\0\x0b\x0c\x1c\x85\u2028\u2029 #=:;,{}()[]<>$\"'`\\|/*%@+",
        "\n ",
        "${x}",
        " -o ",
        "...",
    ]
)
_GOOD = st.sampled_from(["px001", "a.test", "m@a.test", "198.18.0.7", "192.0.2.1", "pf1", "a", ""])
_TEXT = st.one_of(
    st.builds("{}{}{}".format, _GOOD, _POISON, _GOOD),
    st.builds("{}{}".format, _GOOD, _POISON),
    _GOOD,
    st.text(max_size=40),
)


def _fields(spec: spec_pb2.NodeSpec) -> list[tuple[object, str]]:
    """Every string field of the spec that is a single one."""
    egress, key = spec.egresses[0], spec.dkim_keys[0]
    return [
        (spec, "node_id"),
        (spec, "hostname"),
        *((egress, name) for name in ("id", "client_id", "surrogate_address", "helo_name")),
        (egress, "public_ip"),
        *((egress.socks5, name) for name in ("host", "username", "password")),
        (key, "domain"),
        (key, "selector"),
        (spec.gateway, "probe_target"),
    ]


def _render(spec: spec_pb2.NodeSpec) -> Rendered:
    return render(read_spec(spec), b"", Layout())


def _shape(rendered: Rendered) -> dict[str, list[str]]:
    """Of each text file, its lines with every word that a value could be in cut out."""
    shape = {}
    for path, file in rendered.items():
        if not path.startswith("opendkim/keys/"):
            lines = re.split(r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", file.content.decode())
            shape[path.replace("px001", "")] = [_skeleton(path, line) for line in lines]
    return shape


def _skeleton(path: str, line: str) -> str:
    if path == "gateway/egresses.json":
        return re.sub(r'": .*', '": VALUE', line)
    if path == "postfix/main.cf":
        return re.sub(r"^egress-\S+_", "egress-ID_", line).partition(" = ")[0]
    if path == "postfix/master.cf":
        return re.sub(r"(egress-|=)\S+", r"\1VALUE", line)
    return re.sub(r"\S+", "WORD", line)


_EXPECTED = _shape(_render(good_spec()))


@settings(max_examples=600, deadline=None)
@given(which=st.integers(0, 12), text=_TEXT)
def test_no_value_that_passes_validation_changes_the_shape_of_a_file(which: int, text: str) -> None:
    spec = good_spec()
    fields = _fields(spec)
    target, name = fields[which % len(fields)]
    setattr(target, name, text.encode("utf-8", "replace").decode())
    try:
        rendered = _render(spec)
    except ValidationFailed:
        return
    assert _shape(rendered) == _EXPECTED


@settings(max_examples=300, deadline=None)
@given(text=_TEXT)
def test_no_mailbox_that_passes_validation_changes_the_shape_of_a_file(text: str) -> None:
    spec = good_spec()
    spec.egresses[0].mailboxes[0] = text.encode("utf-8", "replace").decode()
    try:
        rendered = _render(spec)
    except ValidationFailed:
        return
    assert _shape(rendered) == _EXPECTED


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_good_spec_are_refused_in_words(data: bytes) -> None:
    spec = spec_pb2.NodeSpec()
    with pytest.raises((ValidationFailed, DecodeError)):
        read_spec(spec.FromString(data))
