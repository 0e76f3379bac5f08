"""Mail addresses as RFC 5321 section 4.1.2 writes them. Pure.

Takes dot-strings and quoted strings before the @, and fully qualified host names behind it. Does
not take what this fleet cannot send to: address literals (they go past every MX), domains that are
not written as A-labels (IDNA has several mappings; guessing would choose a receiver), and local
parts beyond ASCII (they need SMTPUTF8, RFC 6531, on every hop).
"""

from __future__ import annotations

import re
from functools import lru_cache

from controller.intake.rejection import shown

# Possessive quantifiers stand on single characters only: Python 3.11 mismatches them on groups
# (bpo issue gh-106052).
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++"
_DOT_STRING = rf"{_ATEXT}(?:\.{_ATEXT})*"
# qtextSMTP and quoted-pairSMTP; an empty quoted string names nobody.
_QUOTED_STRING = r'"(?:[ !#-\[\]-~]|\\[ -~])+"'
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}+(?<!-)"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})+"
_ADDRESS = re.compile(rf"({_DOT_STRING}|{_QUOTED_STRING})@({_DOMAIN})")
_LOCAL_PART = re.compile(rf"{_DOT_STRING}|{_QUOTED_STRING}")
_DOMAIN_ONLY = re.compile(_DOMAIN)

# RFC 5321 sections 4.5.3.1.1 and 4.5.3.1.3 (a path is at most 256 octets with its brackets).
_LOCAL_PART_OCTETS = 64
_ADDRESS_OCTETS = 254


class MalformedAddress(ValueError):
    """A text is not an address this fleet can send to; the message says why."""


@lru_cache(maxsize=4096)
def parse(text: str) -> str:
    """The address with its domain in lower case; the local part stays as it is.

    Raises MalformedAddress.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise MalformedAddress(f"{shown(text)!r}: {_why(text)}")
    local, domain = match[1], match[2].lower()
    if len(local) > _LOCAL_PART_OCTETS:
        raise MalformedAddress(f"{shown(text)!r}: more than 64 octets before the @")
    if len(text) > _ADDRESS_OCTETS:
        raise MalformedAddress(f"{shown(text)!r}: more than 254 octets")
    if domain.rpartition(".")[2].isdigit():
        raise MalformedAddress(f"{shown(text)!r}: an IP address is no domain")
    return f"{local}@{domain}"


def domain_of(address: str) -> str:
    """What stands behind the last @."""
    return address.rpartition("@")[2]


def _why(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not at:
        return "there is no @" if text else "it is empty"
    if any(c < " " or c == "\x7f" for c in text):
        return "it has control characters"
    if domain.startswith("["):
        return "address literals are not taken, write a domain"
    if not domain.isascii():
        return "the domain is not ASCII; write it as A-labels (xn--…)"
    if not local.isascii():
        return "the part before the @ is not ASCII; SMTPUTF8 is not supported"
    if not _LOCAL_PART.fullmatch(local):
        return "the part before the @ is neither a dot-string nor a quoted string"
    if "." not in domain:
        return "the domain is not fully qualified"
    if not _DOMAIN_ONLY.fullmatch(domain):
        return "the domain is not a host name (labels of 1 to 63 letters, digits, hyphens)"
    return "it is malformed"
