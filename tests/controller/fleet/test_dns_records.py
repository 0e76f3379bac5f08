"""The records say what receivers check, and stay within the limits of the RFCs."""

from __future__ import annotations

import warnings
from ipaddress import IPv4Address

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.fleet.dns_records import Record, SendingDomain, domain_records, egress_records
from controller.keys.dkim import make_dkim_key

with warnings.catch_warnings():
    # Python's words about escape sequences in its docstrings.
    warnings.simplefilter("ignore")
    import spf


def _parsed(record: Record) -> dns.rdata.Rdata:
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(record.type), record.data)


def _text(record: Record) -> str:
    return b"".join(_parsed(record).strings).decode()  # type: ignore[attr-defined]


def _domain(exits: list[IPv4Address], key: str = "AAAA") -> SendingDomain:
    return SendingDomain("acme.test", "pf1", key, "quarantine", exits)


def test_a_domain_has_dkim_spf_and_dmarc() -> None:
    records = list(domain_records(_domain([IPv4Address("192.0.2.7")])))
    assert [(each.name, each.type, each.purpose, _text(each)) for each in records] == [
        ("pf1._domainkey.acme.test", "TXT", "dkim", "v=DKIM1; k=rsa; p=AAAA"),
        ("acme.test", "TXT", "spf", "v=spf1 ip4:192.0.2.7 -all"),
        ("_dmarc.acme.test", "TXT", "dmarc", "v=DMARC1; p=quarantine"),
    ]


def test_a_real_dkim_key_is_split_into_strings_of_at_most_255_octets() -> None:
    key = make_dkim_key("acme.test").public_b64
    record = next(domain_records(_domain([], key)))
    strings = _parsed(record).strings  # type: ignore[attr-defined]
    assert len(strings) == 2
    assert all(len(each) <= 255 for each in strings)
    assert _text(record) == f"v=DKIM1; k=rsa; p={key}"


def test_a_domain_without_exits_sends_from_nowhere() -> None:
    assert _text(list(domain_records(_domain([])))[1]) == "v=spf1 -all"


def test_bounces_have_an_mx_where_the_inventory_names_one() -> None:
    mx = list(domain_records(_domain([]), "in.acme.test"))[-1]
    assert (mx.name, mx.type, mx.data, mx.purpose) == ("acme.test", "MX", "10 in.acme.test.", "mx")


def test_an_egress_has_forward_confirmed_reverse_dns_and_its_own_spf() -> None:
    records = list(egress_records(IPv4Address("198.51.100.7"), "mx-007.acme.test"))
    assert [(each.name, each.type, each.data) for each in records] == [
        ("mx-007.acme.test", "A", "198.51.100.7"),
        ("mx-007.acme.test", "TXT", '"v=spf1 a -all"'),
        ("7.100.51.198.in-addr.arpa", "PTR", "mx-007.acme.test."),
    ]


_FAR_APART = st.lists(
    st.integers(0, 2**24 - 1).map(lambda n: IPv4Address(n * 256 + n % 256)), max_size=300,
    unique=True,
)  # fmt: skip


@given(_FAR_APART)
def test_spf_passes_for_every_exit_and_fails_for_any_other_address(
    exits: list[IPv4Address],
) -> None:
    records = [each for each in domain_records(_domain(exits)) if each.purpose == "spf"]
    zone = {each.name: _text(each) for each in records}

    class Query(spf.query):  # type: ignore[misc]
        def dns(self, name: str, qtype: str, *_: object, **__: object) -> list[object]:
            text = zone.get(str(name).rstrip(".").lower())
            return [(text.encode(),)] if qtype in ("TXT", "SPF") and text else []

        def dns_txt(self, name: str, *_: object, **__: object) -> list[bytes]:
            text = zone.get(name.rstrip(".").lower())
            return [text.encode()] if text else []

    def verdict(address: IPv4Address) -> str:
        query = Query(str(address), "x@acme.test", "mx.acme.test", strict=False)
        return str(query.check()[0])

    for address in [*exits[:2], *exits[-2:]]:
        assert verdict(address) == "pass"
    other = next(
        each for n in range(1000) if (each := IPv4Address(0x0A000000 + n)) not in set(exits)
    )
    assert verdict(other) == "fail"
    if len(exits) <= 150:
        assert all(len(text) <= 450 for text in zone.values())


@pytest.mark.parametrize("count", [150, 1000])
def test_even_a_thousand_exits_cost_ten_lookups_at_most(count: int) -> None:
    exits = [IPv4Address(n * 7919 % 2**32) for n in range(1, count + 1)]
    records = [each for each in domain_records(_domain(exits)) if each.purpose == "spf"]
    assert _text(records[0]).count("include:") == len(records) - 1 <= 10
