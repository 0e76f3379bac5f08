"""Looks names up at one name server, remembers answers, tells "not there" from "failed".

The lab's only reader of the DNS (receivers' outbound mail, verification, checks of what was
published). It never asks the machine's own resolver.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.reversename

from lab.errors import LabError


class LookupFailed(LabError):
    """The server did not answer, or refused: nothing is known about the name."""


@dataclass
class Lookup:
    """A small stub resolver with a cache that never expires (make a new one to see changes)."""

    server: str
    port: int = 53
    timeout_s: float = 3.0
    # our own address to speak from; '' is any
    source: str = ""
    _cache: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def records(self, name: str, kind: str) -> tuple[str, ...]:
        """The records in presentation format, CNAMEs followed; empty where there are none.

        TXT strings are joined without quotes. Raises LookupFailed.
        """
        key = (name.lower().rstrip("."), kind)
        if key not in self._cache:
            self._cache[key] = self._ask(*key)
        return self._cache[key]

    def reverse_names(self, address: str) -> tuple[str, ...]:
        """The PTR names of an address, lower case without the final dot."""
        pointer = dns.reversename.from_address(address).to_text()
        return tuple(name.lower().rstrip(".") for name in self.records(pointer, "PTR"))

    def exchangers(self, domain: str) -> list[str]:
        """The MX hosts of a domain in order of preference; the domain itself where it has none."""
        pairs = (record.split() for record in self.records(domain, "MX"))
        hosts = [host.rstrip(".").lower() for _, host in sorted((int(p), h) for p, h in pairs)]
        return hosts or [domain]

    def _ask(self, name: str, kind: str) -> tuple[str, ...]:
        query = dns.message.make_query(name, kind, use_edns=0, payload=1232)
        try:
            reply, _ = dns.query.udp_with_fallback(
                query, self.server, self.timeout_s, self.port, source=self.source or None
            )
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(
                f"asking {self.server} for {name} {kind}: {error!r}; nothing known of it"
            ) from error
        if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            code = dns.rcode.to_text(reply.rcode())
            raise LookupFailed(f"asking {self.server} for {name} {kind}: it answered {code}")
        wanted = dns.rdatatype.from_text(kind)
        found = [rrset for rrset in reply.answer if rrset.rdtype == wanted]
        if wanted == dns.rdatatype.TXT:
            return tuple(
                b"".join(data.strings).decode("utf-8", "replace") for r in found for data in r
            )
        return tuple(data.to_text() for rrset in found for data in rrset)
