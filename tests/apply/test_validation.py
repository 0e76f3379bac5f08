"""What no spec may say is refused before anything is touched, field by field."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from postfleet.v1 import spec_pb2

from node_agent.apply.errors import ValidationFailed
from node_agent.apply.read_spec import read_spec
from tests.apply.specs import add_egress, good_spec, rsa_pem

Spec = spec_pb2.NodeSpec


def test_a_good_spec_is_read_with_all_its_fields() -> None:
    spec = read_spec(good_spec())
    assert [egress.id for egress in spec.egresses] == ["px001", "px002"]
    assert spec.egresses[0].mailboxes == ("m1-0@acme.test", "m1-1@acme.test")
    assert spec.mail.tls_level == "may"


def _set(path: str, value: object) -> Callable[[Spec], None]:
    """Sets a field named like egresses.0.helo_name."""

    def change(spec: Spec) -> None:
        target: object = spec
        *parents, last = path.split(".")
        for part in parents:
            target = target[int(part)] if part.isdigit() else getattr(target, part)  # type: ignore[index]
        if last.isdigit():
            target[int(last)] = value  # type: ignore[index]
        else:
            setattr(target, last, value)

    return change


BAD: list[tuple[str, Callable[[Spec], object], str]] = [
    ("generation 0", _set("generation", 0), "generation"),
    ("generation beyond 63 bits", _set("generation", 2**63), "generation"),
    ("node id with a capital", _set("node_id", "N1"), "node_id"),
    ("unqualified host name", _set("hostname", "n1"), "hostname"),
    ("host name with a line break", _set("hostname", "n1.fleet.test\nx = y"), "hostname"),
    ("host name that ends in a line break", _set("hostname", "n1.fleet.test\n"), "hostname"),
    ("egress id with a slash", _set("egresses.0.id", "a/b"), "egresses.0.id"),
    ("egress id with a space", _set("egresses.0.id", "a -o x=y"), "egresses.0.id"),
    ("egress id of 32 characters", _set("egresses.0.id", "a" * 32), "egresses.0.id"),
    ("egress id twice", _set("egresses.1.id", "px001"), "px001 appears more than once"),
    ("no client", _set("egresses.0.client_id", ""), "client_id"),
    ("surrogate elsewhere", _set("egresses.0.surrogate_address", "10.0.0.1"), "198.18.0.0/15"),
    ("the probe's address", _set("egresses.0.surrogate_address", "198.18.255.254"), "probe"),
    ("first surrogate", _set("egresses.0.surrogate_address", "198.18.0.0"), "first or last"),
    ("surrogate in IPv6", _set("egresses.0.surrogate_address", "::1"), "surrogate_address"),
    ("surrogate twice", _set("egresses.1.surrogate_address", "198.18.0.1"), "more than once"),
    ("EHLO name with a space", _set("egresses.0.helo_name", "a.test b"), "helo_name"),
    ("EHLO name with ${", _set("egresses.0.helo_name", "${config_directory}.test"), "helo_name"),
    ("EHLO name twice", _set("egresses.1.helo_name", "px001.acme.test"), "more than once"),
    ("public address twice", _set("egresses.1.public_ip", "198.51.100.1"), "more than once"),
    ("public address on loopback", _set("egresses.0.public_ip", "127.0.0.1"), "public_ip"),
    ("public address of everybody", _set("egresses.0.public_ip", "224.0.0.1"), "public_ip"),
    ("no exit", lambda s: s.egresses[0].ClearField("exit"), "exit"),
    ("proxy on port 0", _set("egresses.0.socks5.port", 0), "port"),
    ("proxy on port 65536", _set("egresses.0.socks5.port", 65_536), "port"),
    ("proxy host with a space", _set("egresses.0.socks5.host", "a b"), "host"),
    ("no proxy host", _set("egresses.0.socks5.host", ""), "host"),
    ("password without user", _set("egresses.0.socks5.username", ""), "without"),
    ("user without password", _set("egresses.0.socks5.password", ""), "without"),
    ("password of 256 octets", _set("egresses.0.socks5.password", "ä" * 128), "255"),
    ("password with NUL", _set("egresses.0.socks5.password", "a\0b"), "control character"),
    ("leaving from loopback", lambda s: _exit_from(s, "127.0.0.1"), "address"),
    ("leaving from a surrogate", lambda s: _exit_from(s, "198.18.0.9"), "address"),
    ("mailbox without @", _set("egresses.0.mailboxes.0", "acme.test"), "mailboxes.0"),
    ("mailbox with a space", _set("egresses.0.mailboxes.0", "a b@acme.test"), "mailboxes.0"),
    ("mailbox with +", _set("egresses.0.mailboxes.0", "a+b@acme.test"), "mailboxes.0"),
    ("mailbox in capitals", _set("egresses.0.mailboxes.0", "A@acme.test"), "mailboxes.0"),
    ("mailbox with a line", _set("egresses.0.mailboxes.0", "a@acme.test\nb@c.test x:"), "mailb"),
    ("mailbox twice", _set("egresses.1.mailboxes.0", "m1-0@acme.test"), "more than once"),
    ("mailbox without a key", _set("egresses.0.mailboxes.0", "a@other.test"), "unsigned"),
    ("concurrency 0", _set("egresses.0.max_concurrency", 0), "max_concurrency"),
    ("concurrency 101", _set("egresses.0.max_concurrency", 101), "max_concurrency"),
    ("key for a path", _set("dkim_keys.0.domain", "../../etc/passwd"), "domain"),
    ("selector with a colon", _set("dkim_keys.0.selector", "a:b"), "selector"),
    ("key that is none", _set("dkim_keys.0.private_key_pem", "hello"), "PEM"),
    ("two keys in one", _set("dkim_keys.0.private_key_pem", rsa_pem() * 2), "one PEM block"),
    ("key of a domain twice", lambda s: s.dkim_keys.append(s.dkim_keys[0]), "more than once"),
    ("size limit too low", _set("mail.message_size_limit", 10_239), "message_size_limit"),
    ("size limit too high", _set("mail.message_size_limit", 104_857_601), "message_size_limit"),
    ("no backoff", _set("mail.minimal_backoff_s", 0), "minimal_backoff_s"),
    ("backoffs in disorder", _set("mail.minimal_backoff_s", 5000), "above maximal_backoff_s"),
    ("lifetime too short", _set("mail.queue_lifetime_s", 59), "queue_lifetime_s"),
    ("no TLS level", _set("mail.tls_level", spec_pb2.TLS_LEVEL_UNSPECIFIED), "tls_level"),
    ("TLS level bananas", _set("mail.tls_level", 99), "tls_level"),
    ("a net with host bits", _set("gateway.allow_target_nets.0", "10.0.0.1/8"), "allow_target"),
    ("a net that is none", _set("gateway.allow_target_nets.0", "bananas"), "allow_target"),
    ("no connect timeout", _set("gateway.connect_timeout_ms", 0), "connect_timeout_ms"),
    ("probe target without port", _set("gateway.probe_target", "10.0.0.1"), "probe_target"),
    ("probe target on port 0", _set("gateway.probe_target", "10.0.0.1:0"), "probe_target"),
    ("no probe interval", _set("gateway.probe_interval_s", 0), "probe_interval_s"),
    ("no settings at all", lambda s: s.ClearField("mail"), "mail"),
]


def _exit_from(spec: Spec, address: str) -> None:
    spec.egresses[0].address.address = address


@pytest.mark.parametrize(("change", "word"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_spec_that_says_so_is_refused(change: Callable[[Spec], object], word: str) -> None:
    spec = good_spec()
    change(spec)
    with pytest.raises(ValidationFailed) as caught:
        read_spec(spec)
    assert word in str(caught.value)


def test_all_errors_are_named_at_once() -> None:
    spec = good_spec()
    spec.hostname = "x"
    spec.egresses[1].helo_name = "y"
    with pytest.raises(ValidationFailed, match=r"hostname.*egresses\.1\.helo_name"):
        read_spec(spec)


def test_an_error_never_quotes_a_secret() -> None:
    spec = good_spec()
    spec.egresses[0].socks5.password = "hush\x07hush"
    spec.dkim_keys[0].private_key_pem = rsa_pem().replace("MII", "hushMII", 1)
    with pytest.raises(ValidationFailed) as caught:
        read_spec(spec)
    assert "hush" not in str(caught.value)
    assert "MII" not in str(caught.value)


def test_no_authentication_at_the_proxy_is_allowed() -> None:
    spec = good_spec()
    spec.egresses[0].socks5.username = spec.egresses[0].socks5.password = ""
    assert read_spec(spec).egresses[0].id == "px001"


def test_an_empty_node_is_a_good_node() -> None:
    assert read_spec(good_spec(egresses=0)).egresses == ()


def test_a_secret_is_not_in_the_models_own_words() -> None:
    spec = good_spec()
    add_egress(spec, 3)
    words = repr(read_spec(spec))
    assert "s3cret" not in words
    assert "PRIVATE KEY" not in words
