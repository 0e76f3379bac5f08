"""The systemd units, read as files: who runs as whom, and what none of them may do."""

from __future__ import annotations

from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "provisioning" / "units"
SERVICES = sorted(UNITS.glob("*.service"))
LOCKED = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "RestrictNamespaces=yes",
    "RestrictSUIDSGID=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_every_service_is_locked_in(path: Path) -> None:
    assert not set(LOCKED) - set(_lines(path))


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_root_has_named_capabilities_only_and_others_none(path: Path) -> None:
    lines = _lines(path)
    bounds = [line for line in lines if line.startswith("CapabilityBoundingSet=")]
    assert len(bounds) == 1
    is_root = not any(line.startswith("User=") for line in lines)
    assert is_root == (bounds[0] != "CapabilityBoundingSet=")
    assert "CAP_SYS_ADMIN" not in bounds[0]


def test_the_only_processes_of_root_are_apply() -> None:
    for path in SERVICES:
        lines = _lines(path)
        if not any(line.startswith("User=") for line in lines):
            starts = [line for line in lines if line.startswith("Exec")]
            assert all("/bin/postfleet-apply" in line for line in starts), path


def test_only_the_agent_reaches_apply() -> None:
    lines = _lines(UNITS / "postfleet-apply.socket")
    assert {"SocketUser=postfleet-agent", "SocketMode=0600", "Accept=yes"} <= set(lines)


def test_apply_reaches_nothing_but_this_machine() -> None:
    lines = _lines(UNITS / "postfleet-apply@.service")
    assert {"IPAddressDeny=any", "IPAddressAllow=localhost"} <= set(lines)


def test_every_file_begins_with_why_it_is_there() -> None:
    for path in UNITS.rglob("*"):
        if path.is_file():
            assert path.read_text().startswith("# "), path
