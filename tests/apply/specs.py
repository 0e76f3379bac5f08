"""A good NodeSpec to begin with, and keys for it. Tests change one thing in it."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from postfleet.v1 import spec_pb2


@cache
def rsa_pem(bits: int = 2048) -> str:
    """A private key as the controller delivers it: PKCS#8 PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def add_egress(spec: spec_pb2.NodeSpec, number: int, *, mailboxes: int = 2) -> spec_pb2.Egress:
    """Append egress px<number> with mailboxes at acme.test; its proxy is 198.51.100.<number>."""
    egress = spec.egresses.add(
        id=f"px{number:03}",
        client_id="acme",
        surrogate_address=f"198.18.0.{number}",
        helo_name=f"px{number:03}.acme.test",
        public_ip=f"198.51.100.{number}",
        max_concurrency=5,
    )
    egress.socks5.host = f"198.51.100.{number}"
    egress.socks5.port = 1080
    egress.socks5.username = f"user{number}"
    egress.socks5.password = "s3cret word"
    egress.mailboxes.extend(f"m{number}-{n}@acme.test" for n in range(mailboxes))
    return egress


def good_spec(generation: int = 1, *, egresses: int = 2, pem: str = "") -> spec_pb2.NodeSpec:
    """A spec for node n1 with this many egresses of two mailboxes each, one domain, one key."""
    spec = spec_pb2.NodeSpec(generation=generation, node_id="n1", hostname="n1.fleet.test")
    for number in range(1, egresses + 1):
        add_egress(spec, number)
    spec.dkim_keys.add(domain="acme.test", selector="pf1", private_key_pem=pem or rsa_pem())
    spec.mail.message_size_limit = 10_485_760
    spec.mail.minimal_backoff_s = 300
    spec.mail.maximal_backoff_s = 4000
    spec.mail.queue_lifetime_s = 172_800
    spec.mail.tls_level = spec_pb2.TLS_LEVEL_MAY
    spec.gateway.allow_target_nets.append("203.0.113.0/24")
    spec.gateway.connect_timeout_ms = 30_000
    spec.gateway.probe_target = "10.80.0.1:7444"
    spec.gateway.probe_interval_s = 300
    return spec
