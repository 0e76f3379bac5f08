"""Puts records into the lab's zones by dynamic update (RFC 2136) with TSIG, many in one message.

A record set (name and type) is replaced as a whole, so publishing the same records twice changes
nothing. What to publish comes from elsewhere: the fleet's records from FleetService.ListDnsRecords.
"""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataset
import dns.tsigkeyring
import dns.update

from lab.dns_config import AUTHORITY, DNSBL_ZONE, TsigKey, zone_of
from lab.errors import LabError

# A message holds 65,535 octets; a DKIM record takes about 450.
_SETS_PER_MESSAGE = 100
_TIMEOUT_S = 20.0


class DnsUpdateError(LabError):
    """The server did not take an update; the zones hold what they held before that message."""


@dataclass(frozen=True)
class Record:
    """One record: name without final dot, type, TTL in seconds, presentation-format data."""

    name: str
    kind: str
    data: str
    ttl: int = 300


@dataclass(frozen=True)
class Publisher:
    """Updates the authoritative server. `source`: our own address to speak from; '' is any."""

    key: TsigKey
    server: str = AUTHORITY
    port: int = 53
    source: str = ""

    def publish(self, records: Iterable[Record]) -> int:
        """Puts the record sets in place of what stood there; returns the number of messages.

        Raises DnsUpdateError also for a name that is in none of the lab's zones.
        """
        messages = 0
        for zone, sets in _by_zone(records).items():
            for start in range(0, len(sets), _SETS_PER_MESSAGE):
                update = self._message(zone)
                for (name, kind), members in sets[start : start + _SETS_PER_MESSAGE]:
                    update.replace(dns.name.from_text(name), _rdataset(kind, members))
                self._send(update, zone)
                messages += 1
        return messages

    def remove(self, name: str, kind: str) -> None:
        """Takes a record set away; not there: nothing."""
        zone = _zone_or_error(name)
        update = self._message(zone)
        update.delete(dns.name.from_text(name), kind)
        self._send(update, zone)

    def set_listed(self, address: str, listed: bool, reason: str = "listed by the lab") -> None:
        """Puts an IPv4 address on the lab's DNSBL (RFC 5782), or takes it off."""
        name = f"{'.'.join(reversed(address.split('.')))}.{DNSBL_ZONE}"
        if listed:
            self.publish([Record(name, "A", "127.0.0.2", 1), Record(name, "TXT", f'"{reason}"', 1)])
        else:
            self.remove(name, "A")
            self.remove(name, "TXT")

    def _message(self, zone: str) -> dns.update.UpdateMessage:
        keyring = dns.tsigkeyring.from_text({f"{self.key.name}.": self.key.secret})
        return dns.update.UpdateMessage(zone, keyring=keyring, keyalgorithm="hmac-sha256")

    def _send(self, update: dns.update.UpdateMessage, zone: str) -> None:
        try:
            reply = dns.query.tcp(
                update, self.server, _TIMEOUT_S, self.port, source=self.source or None
            )
        except (dns.exception.DNSException, OSError) as error:
            raise DnsUpdateError(f"updating {zone} at {self.server}: {error!r}") from error
        if reply.rcode() != dns.rcode.NOERROR:
            code = dns.rcode.to_text(reply.rcode())
            raise DnsUpdateError(f"updating {zone} at {self.server}: it answered {code}")


def wait_answering(server: str, port: int, source: str, timeout_s: float) -> None:
    """Returns when the server takes TCP connections. Raises DnsUpdateError after the timeout."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with socket.create_connection((server, port), 1.0, (source, 0) if source else None):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise DnsUpdateError(
                    f"DNS server {server}:{port} did not answer within {timeout_s:.0f} s: {error}"
                ) from error
            time.sleep(0.05)


def _zone_or_error(name: str) -> str:
    zone = zone_of(name)
    if not zone:
        raise DnsUpdateError(f"{name}: the lab's DNS has no zone for it; nothing was changed")
    return zone


_Sets = list[tuple[tuple[str, str], list[Record]]]


def _by_zone(records: Iterable[Record]) -> dict[str, _Sets]:
    sets: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        sets[(record.name.lower().rstrip(".") + ".", record.kind)].append(record)
    zones: dict[str, _Sets] = defaultdict(list)
    for key, members in sets.items():
        zones[_zone_or_error(key[0])].append((key, members))
    return zones


def _rdataset(kind: str, members: list[Record]) -> dns.rdataset.Rdataset:
    try:
        return dns.rdataset.from_text("IN", kind, members[0].ttl, *[m.data for m in members])
    except dns.exception.DNSException as error:
        raise DnsUpdateError(
            f"{members[0].name} {kind} {members[0].data!r}: no valid record ({error!r})"
        ) from error
