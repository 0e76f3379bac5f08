"""How machines are to be rebuilt, as the flags say it; contradictions are refused at once."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from invoke.exceptions import Exit

from inventory.secrets import public_key
from provisioning.flags import Flags


@dataclass(frozen=True)
class How:
    """Empty strings are unset. `wait_s`: for the bare machine to answer."""

    reinstall: str = ""
    host_key: str = ""
    replace_with: str = ""
    all_failed: bool = False
    reason: str = ""
    wait_s: float = 1800.0

    @classmethod
    def of(cls, flags: Flags) -> How:
        """From the task's flags. Raises Exit with code 2, naming what does not go together."""
        names = [name for name in flags["node"].split(",") if name]
        if flags["all_failed"] == bool(names):
            raise _wrong("name the nodes with --node, or take --all-failed; there is no default")
        if len(names) != 1 and (flags["host_key"] or flags["replace_with"]):
            raise _wrong("--host-key and --replace-with are about one machine: name one --node")
        key = public_key(flags["host_key"])
        if flags["host_key"] and not key:
            raise _wrong(f"--host-key: {flags['host_key']!r} is no key such as 'ssh-ed25519 AAAA…'")
        address = flags["replace_with"]
        try:
            address = str(ip_address(address)) if address else ""
        except ValueError:
            words = f"--replace-with: {address!r} is no IP address, which the inventory needs"
            raise _wrong(words) from None
        if flags["together"] < 1 or flags["wait_minutes"] < 1:
            raise _wrong("--together and --wait-minutes: at least 1")
        return cls(
            reinstall=flags["reinstall"],
            host_key=key,
            replace_with=address,
            all_failed=flags["all_failed"],
            reason=flags["reason"],
            wait_s=60.0 * flags["wait_minutes"],
        )


def _wrong(words: str) -> Exit:
    return Exit(f"rebuild: {words}. Nothing was changed", 2)
