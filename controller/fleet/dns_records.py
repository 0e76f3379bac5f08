"""The DNS records without which receivers refuse the fleet's mail. Pure: rows in, records out.

    DKIM   <selector>._domainkey.<domain> TXT   RFC 6376 section 3.6
    SPF    <domain> TXT                         RFC 7208; the exits of the domain's mailboxes only
    DMARC  _dmarc.<domain> TXT                  RFC 7489
    EHLO   <EHLO name> A <public IP>, PTR back, and SPF of its own (RFC 7208 section 2.3)
    MX     <domain> MX <host>                   where the inventory says who takes bounces

Data is in presentation format (RFC 1035 section 5). Publishing is somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from controller.keys.dkim import dkim_record

TTL_S = 3600
_STRING_OCTETS = 255
# RFC 7208 section 3.4: an answer should fit into 512 octets of UDP, the query's name included.
_SPF_OCTETS = 400
# Section 4.6.4 allows ten mechanisms that cost a lookup; includes are ours.
_MOST_INCLUDES = 10


@dataclass(frozen=True)
class Record:
    """One record; `name` fully qualified without the final dot."""

    name: str
    type: str
    data: str
    # dkim, spf, dmarc, ptr, ehlo, mx
    purpose: str
    ttl_s: int = TTL_S


@dataclass(frozen=True)
class SendingDomain:
    """What of a domain the DNS has to know. `exits`: public IPs of its mailboxes' egresses."""

    name: str
    dkim_selector: str
    dkim_public_key: str
    dmarc_policy: str
    exits: Sequence[IPv4Address] = field(default_factory=tuple)


def domain_records(domain: SendingDomain, bounce_mx: str | None = None) -> Iterator[Record]:
    """DKIM, SPF, DMARC and, where there is one, MX."""
    selector = f"{domain.dkim_selector}._domainkey.{domain.name}"
    yield Record(selector, "TXT", _txt(dkim_record(domain.dkim_public_key)), "dkim")
    yield from _spf(domain.name, domain.exits)
    policy = f"v=DMARC1; p={domain.dmarc_policy}"
    yield Record(f"_dmarc.{domain.name}", "TXT", _txt(policy), "dmarc")
    if bounce_mx:
        yield Record(domain.name, "MX", f"10 {bounce_mx}.", "mx")


def egress_records(public_ip: IPv4Address, helo_name: str) -> Iterator[Record]:
    """Forward-confirmed reverse DNS, and SPF for the EHLO name itself."""
    yield Record(helo_name, "A", str(public_ip), "ehlo")
    yield Record(helo_name, "TXT", _txt("v=spf1 a -all"), "spf")
    yield Record(public_ip.reverse_pointer, "PTR", f"{helo_name}.", "ptr")


def _txt(text: str) -> str:
    """Quoted strings of at most 255 octets; receivers join them (RFC 7208 section 3.3)."""
    parts = [text[n : n + _STRING_OCTETS] for n in range(0, len(text), _STRING_OCTETS)]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


def _spf(domain: str, exits: Iterable[IPv4Address]) -> Iterator[Record]:
    """One record, or one that includes several where the addresses are too many for one."""
    terms = [f"ip4:{_written(net)}" for net in collapse_addresses(map(IPv4Network, exits))]
    whole = _policy(terms)
    if len(whole) <= _SPF_OCTETS:
        yield Record(domain, "TXT", _txt(whole), "spf")
        return
    chunks = _chunks(terms)
    names = [f"_spf{number}.{domain}" for number in range(1, len(chunks) + 1)]
    yield Record(domain, "TXT", _txt(_policy([f"include:{name}" for name in names])), "spf")
    for name, chunk in zip(names, chunks, strict=True):
        yield Record(name, "TXT", _txt(_policy(chunk)), "spf")


def _policy(terms: Sequence[str]) -> str:
    return " ".join(["v=spf1", *terms, "-all"])


def _written(net: IPv4Network) -> str:
    return str(net.network_address) if net.prefixlen == 32 else str(net)


def _chunks(terms: Sequence[str]) -> list[Sequence[str]]:
    """As few as fit into a small answer each; never more than ten, then the answers grow (TCP)."""
    widest = max(len(term) + 1 for term in terms)
    size = max((_SPF_OCTETS - len("v=spf1 -all")) // widest, -(-len(terms) // _MOST_INCLUDES))
    return [terms[n : n + size] for n in range(0, len(terms), size)]
