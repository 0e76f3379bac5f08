"""The types that fields of the inventory are made of.

`Allowed` on a type says in words what its pattern says to the machine, and is what an error message
and the reference manual quote.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


@dataclass(frozen=True)
class Allowed:
    """What may stand in a field, in words; metadata of an `Annotated` type."""

    text: str


Id = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$"),
    Allowed("1 to 31 of a-z, 0-9 and -, not beginning with -"),
]
HostName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$",
        max_length=253,
    ),
    Allowed("a fully qualified DNS name in lower case, without a final dot (IDNs as xn--…)"),
]
# RFC 5321 section 4.1.2 dot-atom, lower case, without "+": that is the recipient delimiter which
# carries the message's token. 37 octets leave room for the token within 64 (section 4.5.3.1.1).
LocalPart = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9_-]+(\.[a-z0-9_-]+)*$", max_length=37),
    Allowed("1 to 37 of a-z, 0-9, _ and -, with single dots between"),
]
SecretRef = Annotated[
    str,
    StringConstraints(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:[^\x00-\x1f\x7f]+)$"),
    Allowed("env:NAME or file:PATH, never the secret itself"),
]
Label = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,100}$"),
    Allowed("1 to 100 characters without control characters"),
]


def _text_only(value: object) -> object:
    """IPv4Address(1) is 0.0.0.1; in an inventory a bare number there is a mistake."""
    return value if isinstance(value, str) else str(value)


Address = Annotated[IPv4Address, BeforeValidator(_text_only), Allowed("an IPv4 address")]
Network = Annotated[
    IPv4Network,
    BeforeValidator(_text_only),
    Allowed("an IPv4 network such as 203.0.113.0/24, without host bits"),
]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Count = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True), Allowed("true or false")]
Seconds = Annotated[float, Field(strict=True)]
WholeSeconds = Annotated[int, Field(strict=True)]


class Strict(BaseModel):
    """Unknown fields are errors, values are never coerced silently, and models are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
