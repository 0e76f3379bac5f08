"""The rules of structure that a reader relies on, held as tests."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from controller.store.migrate import migrations

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("controller", "node_agent", "provisioning", "inventory", "lab")
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "misc", "base"}
MOST_LINES = 400


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).exists()]


def sources() -> list[Path]:
    return [
        path
        for path in tracked("*.py")
        if path.relative_to(ROOT).parts[0] in PROGRAMS and "_pb2" not in path.name
    ]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(), ids=named)
def test_a_source_file_says_what_it_is_and_fits_on_a_few_screens(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES, "split it: one idea per file"
    assert ast.get_docstring(ast.parse(text)), "open it like a short man page"
    assert path.stem not in VAGUE, "name it after what it does"


def test_nothing_under_tests_is_a_package_that_could_hide_a_real_one() -> None:
    assert [named(p) for p in tracked("tests/**/__init__.py", "tests/__init__.py")] == []


def test_generated_protocol_types_are_those_of_the_proto_files(tmp_path: Path) -> None:
    protos = sorted((ROOT / "protos").glob("postfleet/v1/*.proto"))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{ROOT / 'protos'}",
            f"--python_out={tmp_path}",
            f"--grpc_python_out={tmp_path}",
            f"--mypy_out=quiet:{tmp_path}",
            f"--mypy_grpc_out=quiet:{tmp_path}",
            *map(str, protos),
        ],
        check=True,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )
    made = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    assert made
    for path in made:
        committed = ROOT / "protos" / path.relative_to(tmp_path)
        assert committed.read_text() == path.read_text(), f"{named(committed)}: run ./run proto"


def test_every_field_of_the_protocol_that_is_a_number_says_its_unit_or_range() -> None:
    """A number without a unit in its name or a comment is a guess waiting to be made."""
    silent = []
    for path in tracked("protos/*.proto"):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            field = re.match(r"\s*(?:uint32|uint64|int32|int64|double) (\w+) = \d+;", line)
            if field and re.search(r"timeout|interval|latency|ttl|margin|backoff|lifetime", line):
                unit = re.search(r"_(ms|s|ns|bytes|seconds)$", field[1])
                commented = number > 0 and "//" in lines[number - 1]
                if not unit and not commented and field[1] != "ttl":
                    silent.append(f"{named(path)}:{number + 1} {field[1]}")
    assert silent == []


def test_decisions_are_numbered_without_holes() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_migrations_are_numbered_without_holes() -> None:
    assert migrations()
