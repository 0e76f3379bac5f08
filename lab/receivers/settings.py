"""What the receivers are: providers, their MX names, addresses and domains; one file for all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.receivers.errors import ReceiverError


@dataclass(frozen=True)
class MailExchanger:
    """One MX host: its name (certificate, EHLO answer) and IPv4 address."""

    host: str
    address: str
    preference: int


@dataclass(frozen=True)
class Provider:
    """Who runs the recipients' mailboxes: what one process serves."""

    name: str
    domains: tuple[str, ...]
    exchangers: tuple[MailExchanger, ...]
    size_limit_bytes: int = 35_882_577


@dataclass(frozen=True)
class ReceiverSettings:
    """What all receiver processes of a lab share. `folder` holds records, one folder a provider;
    `tls` the certificates; `rules` the rules file. `outbound` is the host:port to which late DSNs
    and complaints go; '' looks the sender's MX up."""

    folder: Path
    tls: Path
    rules: Path
    providers: tuple[Provider, ...]
    port: int = 25
    outbound: str = ""

    def write(self, path: Path) -> None:
        """Writes the settings as JSON."""
        path.write_text(json.dumps(asdict(self), default=str, indent=1))


def read_settings(path: Path) -> ReceiverSettings:
    """Settings as `ReceiverSettings.write` wrote them. Raises ReceiverError."""
    try:
        values = json.loads(path.read_text())
        providers = tuple(
            Provider(
                name=p["name"],
                domains=tuple(p["domains"]),
                exchangers=tuple(MailExchanger(**x) for x in p["exchangers"]),
                size_limit_bytes=p["size_limit_bytes"],
            )
            for p in values["providers"]
        )
        return ReceiverSettings(
            folder=Path(values["folder"]),
            tls=Path(values["tls"]),
            rules=Path(values["rules"]),
            providers=providers,
            port=values["port"],
            outbound=values["outbound"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReceiverError(f"receiver settings {path}: {error!r}") from error


def reference_providers(prefix: str = "203.0.113") -> tuple[Provider, ...]:
    """The lab's providers: three with several MX hosts and domains, and plain ones with one MX."""

    def exchangers(domain: str, first: int, names: tuple[str, ...]) -> tuple[MailExchanger, ...]:
        return tuple(
            MailExchanger(f"{name}.{domain}", f"{prefix}.{first + n}", 10 * (n + 1))
            for n, name in enumerate(names)
        )

    return (
        Provider(
            "google",
            ("google.test", "gmail-hosted.test"),
            exchangers("google.test", 11, ("gmail-smtp-in", "alt1.gmail-smtp-in")),
        ),
        Provider(
            "microsoft",
            ("microsoft.test", "outlook-hosted.test"),
            exchangers("microsoft.test", 21, ("mx1.protection", "mx2.protection")),
        ),
        Provider("yahoo", ("yahoo.test",), exchangers("yahoo.test", 31, ("mta5", "mta6", "mta7"))),
        Provider("example1", ("example1.test",), exchangers("example1.test", 41, ("mail",))),
        Provider("example2", ("example2.test",), exchangers("example2.test", 42, ("mx",))),
    )
