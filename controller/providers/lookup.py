"""Asks the DNS where a domain's mail goes (RFC 5321 section 5.1), and for how long to believe it.

No MX but an address: the domain itself takes its mail. `.` as the only MX (RFC 7505), or no such
domain: it takes none. Everything else that goes wrong is `failed` and says nothing about the
domain. The only home of dnspython in the controller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import dns.asyncresolver
import dns.exception
import dns.message
import dns.rdatatype
import dns.resolver

# Seconds. Shorter answers would be asked for all day, longer ones outlive a move of the mail.
LEAST_TTL_S = 300
MOST_TTL_S = 86_400
MOST_NEGATIVE_TTL_S = 3600


class Outcome(StrEnum):
    """What came of a question; as the CHECK of table mail_domain says."""

    FOUND = "found"
    NONE = "none"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MailHosts:
    """The answer. `hosts`: by preference, then by name; empty unless found."""

    outcome: Outcome
    hosts: tuple[str, ...] = ()
    ttl_s: int = LEAST_TTL_S


class MailDns:
    """A resolver. `servers`: (address, port) to ask in place of the system's."""

    def __init__(self, servers: Sequence[tuple[str, int]] = (), timeout_s: float = 5.0) -> None:
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        except dns.resolver.NoResolverConfiguration:
            # Every question fails and is asked again later.
            self._resolver = dns.asyncresolver.Resolver(configure=False)
        if servers:
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(*each) for each in servers]
        self._timeout_s = timeout_s

    async def ask(self, domain: str) -> MailHosts:
        """The hosts of a domain. Raises nothing; takes at most twice the timeout."""
        try:
            return await self._ask(domain)
        except dns.resolver.NXDOMAIN as error:
            return MailHosts(Outcome.NONE, ttl_s=_negative_ttl_s(error))
        except (dns.exception.DNSException, OSError, ValueError):
            return MailHosts(Outcome.FAILED)

    async def _ask(self, domain: str) -> MailHosts:
        answer = await self._resolve(domain, dns.rdatatype.MX)
        if answer.rrset:
            sorted_mx = sorted((mx.preference, str(mx.exchange).lower()) for mx in answer.rrset)
            hosts = tuple(name.rstrip(".") for _, name in sorted_mx if name != ".")
            ttl_s = _within(answer.rrset.ttl)
            return MailHosts(Outcome.FOUND if hosts else Outcome.NONE, hosts, ttl_s)
        addresses = await self._resolve(domain, dns.rdatatype.A)
        if addresses.rrset:
            return MailHosts(Outcome.FOUND, (domain,), _within(addresses.rrset.ttl))
        # It may have an IPv6 address; our egresses could not reach it.
        return MailHosts(Outcome.NONE, ttl_s=LEAST_TTL_S)

    async def _resolve(self, domain: str, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer:
        return await self._resolver.resolve(
            f"{domain}.", kind, lifetime=self._timeout_s, raise_on_no_answer=False
        )


def _within(ttl_s: int) -> int:
    return min(MOST_TTL_S, max(LEAST_TTL_S, ttl_s))


def _negative_ttl_s(error: dns.resolver.NXDOMAIN) -> int:
    """RFC 2308 section 5: the lesser of the SOA's TTL and its minimum."""
    responses: dict[object, dns.message.Message] = error.kwargs.get("responses", {})
    ttls: list[int] = [
        min(rrset.ttl, rrset[0].minimum)
        for response in responses.values()
        for rrset in response.authority
        if rrset.rdtype == dns.rdatatype.SOA
    ]
    return min(MOST_NEGATIVE_TTL_S, max([LEAST_TTL_S, *ttls]))
