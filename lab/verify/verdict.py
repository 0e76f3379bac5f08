"""What is found of one message. Words are those of RFC 8601: pass, fail, none, temperror, …"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """The judgement of one delivered message.

    `dkim_domain` is the domain of the signature that passed, or of the first one; `ptr` the names
    of the source address; `fcrdns` is pass when one of them has that address. Details say why not.
    """

    dkim: str
    dkim_domain: str
    dkim_detail: str
    spf: str
    spf_detail: str
    dmarc: str
    dmarc_detail: str
    fcrdns: str
    ptr: tuple[str, ...]
    from_domain: str
