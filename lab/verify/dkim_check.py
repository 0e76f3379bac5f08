"""DKIM (RFC 6376) by dkimpy, over the octets as received."""

from __future__ import annotations

from dataclasses import dataclass

import dkim  # type: ignore[import-untyped]

from lab.dns_lookup import Lookup, LookupFailed


@dataclass(frozen=True)
class DkimResult:
    """`result`: pass, fail, none or temperror; `domain`: d= of the deciding signature."""

    result: str
    domain: str
    detail: str


def check_dkim(content: bytes, lookup: Lookup) -> DkimResult:
    """The best of all signatures of the message: one that passes is enough (section 6.1)."""

    def txt(name: bytes, timeout: float = 5) -> bytes | None:  # noqa: ARG001 (dkimpy's signature)
        found = lookup.records(name.decode("ascii", "replace"), "TXT")
        return found[0].encode("utf-8") if found else None

    try:
        message = dkim.DKIM(content, minkey=1024)
    except dkim.DKIMException as error:
        return DkimResult("fail", "", repr(error))
    count = sum(1 for name, _ in message.headers if name.lower() == b"dkim-signature")
    results = [_check_one(message, index, txt) for index in range(count)]
    passed = [result for result in results if result.result == "pass"]
    return (passed or results or [DkimResult("none", "", "no DKIM-Signature field")])[0]


def _check_one(message: dkim.DKIM, index: int, txt: object) -> DkimResult:
    try:
        good = message.verify(idx=index, dnsfunc=txt)
        detail = "" if good else "signature or body hash does not fit"
        result = "pass" if good else "fail"
    except LookupFailed as error:
        result, detail = "temperror", str(error)
    except dkim.DKIMException as error:
        result, detail = "fail", repr(error)
    fields = getattr(message, "signature_fields", None) or {}
    return DkimResult(result, fields.get(b"d", b"").decode("ascii", "replace").lower(), detail)
