"""DMARC (RFC 7489): record read by checkdmarc, domains by the public suffix list; alignment here.

Alignment compares the From domain with the domains that SPF and DKIM proved (section 3.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import getaddresses

from checkdmarc.dmarc import DMARCError, parse_dmarc_record  # type: ignore[import-untyped]
from checkdmarc.utils import get_base_domain  # type: ignore[import-untyped]

from lab.dns_lookup import Lookup, LookupFailed

_REPORT_TAGS = re.compile(r"\b(rua|ruf)\s*=[^;]*;?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Policy:
    """The tags that decide alignment; `found` is False where the domain has no DMARC record."""

    found: bool
    strict_dkim: bool = False
    strict_spf: bool = False
    error: str = ""


@dataclass
class PolicyReader:
    """Policies by From domain, read once each."""

    lookup: Lookup
    _known: dict[str, Policy] = field(default_factory=dict)

    def policy(self, domain: str) -> Policy:
        """The domain's own record, else its organizational domain's (section 6.6.3)."""
        if domain not in self._known:
            self._known[domain] = self._read(domain)
        return self._known[domain]

    def _read(self, domain: str) -> Policy:
        for place in dict.fromkeys((domain, get_base_domain(domain))):
            records = [
                text
                for text in self.lookup.records(f"_dmarc.{place}", "TXT")
                if text.lower().startswith("v=dmarc1")
            ]
            if len(records) > 1:
                return Policy(found=False, error=f"{len(records)} records at _dmarc.{place}")
            if records:
                return _parse(records[0], place)
        return Policy(found=False, error=f"no record at _dmarc.{domain}")


def check_dmarc(
    from_domain: str, spf_domain: str, dkim_domain: str, reader: PolicyReader
) -> tuple[str, str]:
    """(result, detail). `spf_domain`, `dkim_domain`: what passed, '' where nothing did."""
    if not from_domain:
        return "permerror", "no single From address"
    try:
        policy = reader.policy(from_domain)
    except LookupFailed as error:
        return "temperror", str(error)
    if not policy.found:
        return "none", policy.error
    if _aligned(from_domain, dkim_domain, policy.strict_dkim):
        return "pass", f"DKIM {dkim_domain} aligned"
    if _aligned(from_domain, spf_domain, policy.strict_spf):
        return "pass", f"SPF {spf_domain} aligned"
    found = f"SPF {spf_domain or 'did not pass'}, DKIM {dkim_domain or 'did not pass'}"
    return "fail", f"From {from_domain}: {found}"


def from_domain(content: bytes) -> str:
    """The domain of the one address in From:, lower case; '' when there is not exactly one."""
    head = content.partition(b"\r\n\r\n")[0]
    fields = BytesHeaderParser(policy=compat32).parsebytes(head).get_all("From", [])
    addresses = [address for _, address in getaddresses([str(each) for each in fields])]
    if len(addresses) != 1:
        return ""
    return addresses[0].rpartition("@")[2].lower()


def _aligned(from_: str, proven: str, strict: bool) -> bool:
    if not proven:
        return False
    return from_ == proven or (not strict and get_base_domain(from_) == get_base_domain(proven))


def _parse(text: str, place: str) -> Policy:
    """Report addresses are left out: checking them would ask other servers than the lab's."""
    try:
        tags = parse_dmarc_record(_REPORT_TAGS.sub("", text), place)["tags"]
    except DMARCError as error:
        return Policy(found=False, error=f"_dmarc.{place}: {error}")
    strict = {tag: tags[tag]["value"] == "s" for tag in ("adkim", "aspf") if tag in tags}
    return Policy(True, strict.get("adkim", False), strict.get("aspf", False))
