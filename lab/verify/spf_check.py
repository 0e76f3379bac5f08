"""SPF (RFC 7208) by pyspf, its DNS questions answered by the lab's DNS."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from lab.dns_lookup import Lookup, LookupFailed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # old escape sequences in its docstrings
    import spf  # type: ignore[import-untyped]

# pyspf takes the maximum of DNS time in seconds; 0 would mean no limit.
_QUERY_TIME_S = 20


def check_spf(source: str, helo: str, sender: str, lookup: Lookup) -> tuple[str, str]:
    """(result, explanation) for the envelope sender; for an empty one the EHLO name (2.4).

    Replaces pyspf's resolver for this process.
    """
    spf.DNSLookup = _answers(lookup)
    result, explanation = spf.check2(i=source, s=sender, h=helo, querytime=_QUERY_TIME_S)
    return str(result).lower(), str(explanation)


def _answers(lookup: Lookup) -> Callable[..., list[Any]]:
    def ask(name: str, kind: str, *_: object, **__: object) -> list[Any]:
        if kind == "SPF":
            return []  # type 99 is history (RFC 7208 section 3.1)
        try:
            found = lookup.records(name, kind)
        except LookupFailed as error:
            raise spf.TempError(f"DNS {error}") from error
        return [((name, kind), _value(kind, data)) for data in found]

    return ask


def _value(kind: str, data: str) -> object:
    if kind == "TXT":
        return (data.encode("utf-8"),)
    if kind == "MX":
        preference, host = data.split()
        return int(preference), host.rstrip(".")
    return data.rstrip(".")
