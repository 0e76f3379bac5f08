"""The text of the lab's DNS configuration: knot (authoritative) and unbound (resolver). Pure.

Knot has `test.` (signed), two reverse zones and a DNSBL zone, all open to RFC 2136 updates with one
TSIG key. Unbound validates `test.` with knot's key as trust anchor, and sends everything else to
the host's resolver, so that packages can be installed. See knot.conf(5), unbound.conf(5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

AUTHORITY = "203.0.113.52"
RESOLVER = "203.0.113.53"
DNSBL_ZONE = "dnsbl.test"
ZONES = ("test", DNSBL_ZONE, "113.0.203.in-addr.arpa", "100.51.198.in-addr.arpa")
SIGNED_ZONES = ("test",)
# Longer than the lab's life for what stands; short for what a scenario changes.
LONGEST_CACHE_S = 30
LONGEST_NEGATIVE_CACHE_S = 1


@dataclass(frozen=True)
class TsigKey:
    """Name and base64 secret of the key that may update every zone (HMAC-SHA-256)."""

    name: str
    secret: str


def zone_of(name: str) -> str:
    """The zone in which a fully qualified name lives; '' when the lab has none for it."""
    name = name.lower().rstrip(".")
    fitting = [zone for zone in ZONES if name == zone or name.endswith("." + zone)]
    return max(fitting, key=len, default="")


def zone_file(zone: str) -> str:
    """The first content of a zone: SOA, NS, and for a DNSBL the test points of RFC 5782."""
    lines = [
        f"$ORIGIN {zone}.",
        "$TTL 300",
        "@ SOA ns1.test. hostmaster.test. 1 3600 600 86400 1",
        "@ NS ns1.test.",
    ]
    if zone == "test":
        lines += [f"ns1 A {AUTHORITY}", f"resolver A {RESOLVER}"]
        lines += [f"{DNSBL_ZONE.removesuffix('.test')} NS ns1.test."]
    if zone == DNSBL_ZONE:
        lines += ["2.0.0.127 A 127.0.0.2", '2.0.0.127 TXT "test point, RFC 5782 section 5"']
    return "\n".join(lines) + "\n"


def knot_config(folder: Path, key: TsigKey, port: int = 53) -> str:
    """knot.conf with everything in `folder`, zone files in its zones/."""
    zones = "\n".join(
        f"""  - domain: {zone}.
    file: {folder}/zones/{zone}.zone
    acl: update
    dnssec-signing: {"on" if zone in SIGNED_ZONES else "off"}"""
        for zone in ZONES
    )
    return f"""\
server:
    listen: {AUTHORITY}@{port}
    rundir: {folder}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: {folder}/knot.log
    any: notice
database:
    storage: {folder}/db
key:
  - id: {key.name}.
    algorithm: hmac-sha256
    secret: {key.secret}
acl:
  - id: update
    key: {key.name}.
    action: update
policy:
  - id: lab
    algorithm: ecdsap256sha256
    single-type-signing: on
    dnskey-ttl: 300
template:
  - id: default
    storage: {folder}/zones
    zonefile-sync: -1
    journal-content: changes
    dnssec-policy: lab
zone:
{zones}
"""


def unbound_config(folder: Path, upstream: str, more: Sequence[str] = (), port: int = 53) -> str:
    """unbound.conf; `upstream` is the address of the resolver for the world outside.

    `more`: addresses on which it listens too.
    """
    stubs = "\n".join(
        f'stub-zone:\n    name: "{zone}."\n    stub-addr: {AUTHORITY}\n    stub-no-cache: no'
        for zone in ZONES
        if zone != DNSBL_ZONE
    )
    ours = "\n".join(f'    local-zone: "{zone}." nodefault' for zone in ZONES)
    interfaces = "\n".join(f"    interface: {each}@{port}" for each in (RESOLVER, *more))
    insecure = "\n".join(f'    domain-insecure: "{z}."' for z in ZONES if z not in SIGNED_ZONES)
    return f"""\
server:
{interfaces}
    access-control: 0.0.0.0/0 allow
    outgoing-interface: {RESOLVER}
    do-ip6: no
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    logfile: ""
    num-threads: 1
    module-config: "validator iterator"
    trust-anchor-file: "{folder}/test.anchor"
    cache-max-ttl: {LONGEST_CACHE_S}
    cache-max-negative-ttl: {LONGEST_NEGATIVE_CACHE_S}
    infra-host-ttl: 5
    minimal-responses: yes
    do-not-query-localhost: no
{ours}
{insecure}
remote-control:
    control-enable: no
{stubs}
forward-zone:
    name: "."
    forward-addr: {upstream}
"""
