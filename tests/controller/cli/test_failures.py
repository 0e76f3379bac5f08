"""How commands end when something is wrong: words, an exit code, no traceback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from controller.keys.authority import open_fleet_ca
from controller.keys.credentials import write_credentials
from controller.keys.identity import Kind
from tests.controller.cli.conftest import Cli


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controller.cli.main", *arguments],
        capture_output=True, text=True, env={"PATH": "/usr/bin", "HOME": "/nowhere"} | environment,
        check=False,
    )  # fmt: skip


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    folder = tmp_path / "operator"
    write_credentials(open_fleet_ca(tmp_path / "elsewhere"), folder, Kind.OPERATOR, "alice")
    return folder


def test_missing_credentials_are_named() -> None:
    ran = _run("node", "list")
    assert ran.returncode == 5
    assert "/nowhere/.config/postfleet/ca.pem: No such file" in ran.stderr
    assert "STATE_DIR/operator" in ran.stderr


def test_a_controller_that_is_not_there_is_unreachable(credentials: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = f"127.0.0.1:{port}"
    ran = _run("fleet", "show", "--controller", where, "--credentials", str(credentials))
    assert ran.returncode == 3
    assert f"cannot reach the controller at {where} (Connection refused)" in ran.stderr
    as_json = _run("--controller", where, "fleet", "show", "--json",
                   POSTFLEET_CREDENTIALS=str(credentials))  # fmt: skip
    assert as_json.returncode == 3
    assert json.loads(as_json.stderr)["exit"] == 3


async def test_credentials_of_another_fleet_are_not_allowed(cli: Cli, credentials: Path) -> None:
    ran = await cli("fleet", "show", "--credentials", str(credentials))
    assert ran.code == 5, ran.err
    assert "do not fit together" in ran.err


async def test_a_client_may_not_look_at_the_fleet(cli: Cli) -> None:
    folder = cli.folder / "client"
    made = await cli(
        "controller", "credentials", "client", "harbor",
        "--state-dir", str(cli.served.state_dir), "--out", str(folder),
    )  # fmt: skip
    assert made.code == 0, made.err
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    ran = await cli("fleet", "show", "--credentials", str(folder))
    assert ran.code == 5
    assert "may not call" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",), ("node", "nonsense"), ("node", "show"), ("node", "list", "--limit", "x"),
        ("node", "list", "--nonsense"), ("egress", "suspend", "px001"), ("fleet", "plan"),
        ("message", "submit", "--format", "pdf"), ("controller", "run"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_command_line_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    ran = _run(*arguments)
    assert ran.returncode == 2
    assert "Usage: postfleet" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    program = (
        f"{sys.executable} -m controller.cli.main version --json | true; echo ${{PIPESTATUS[0]}}"
    )
    ran = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "0\n"
    assert ran.stderr == ""


def test_help_comes_at_once_and_imports_nothing_heavy() -> None:
    program = (
        "import sys; import controller.cli.main; "
        "print([m for m in ('grpc', 'rich', 'psycopg', 'pydantic', 'google.protobuf') "
        "if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"


def test_credentials_are_made_where_a_controllers_state_is(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    command = ("controller", "credentials", "operator", "alice", "--out", out, "--state-dir")
    ran = _run(*command, str(tmp_path))
    assert ran.returncode == 4
    assert "is not a controller's state directory" in ran.stderr
    open_fleet_ca(tmp_path / "state")
    assert _run(*command, str(tmp_path / "state")).returncode == 0
    assert _run(*command, str(tmp_path / "state")).returncode == 1
    wrong = _run("controller", "credentials", "operator", "Alice Smith", "--out", f"{out}2",
                 "--state-dir", str(tmp_path / "state"))  # fmt: skip
    assert wrong.returncode == 1
    assert "cannot stand in a certificate" in wrong.stderr
