"""What every run on a lab of its own keeps to: its exit code, its words, and that nothing stays."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from lab.demo import program
from lab.demo.phases import Phases
from lab.demo.program import DIFFERS, FAILED, HOLDS, INTERRUPTED, run_on_lab
from lab.errors import LabError


class LabOnPaper:
    """In place of lab.lab.Lab: knows which labs stand, and which were taken away."""

    def __init__(self) -> None:
        self.up: set[str] = set()
        self.removed: list[str] = []

    def refuse_if_up(self, name: str) -> None:
        if name in self.up:
            raise LabError(f"lab {name} is up")

    def remove(self, name: str) -> None:
        self.removed.append(name)


@pytest.fixture
def labs(monkeypatch: pytest.MonkeyPatch) -> Iterator[LabOnPaper]:
    labs = LabOnPaper()
    monkeypatch.setattr(program, "Lab", labs)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield labs
    for number, handler in handlers.items():
        signal.signal(number, handler)


def run(work: object, *, keep: bool = False) -> tuple[int, str]:
    """The exit code and what was said; `work` is returned or raised."""

    def do(phases: Phases) -> int:
        if isinstance(work, BaseException):
            raise work
        assert isinstance(work, int)
        return work

    said = StringIO()
    code = run_on_lab("demo", Console(file=said, width=200), "onpaper", keep, do)
    return code, said.getvalue()


@pytest.mark.parametrize(
    ("work", "code", "words"),
    [
        (HOLDS, HOLDS, "s in all"),
        (DIFFERS, DIFFERS, "s in all"),
        (LabError("no [images]"), FAILED, "./run demo: no [images]"),
        (OSError("disk full"), FAILED, "disk full"),
        (KeyboardInterrupt(), INTERRUPTED, "interrupted"),
    ],
)
def test_however_it_ends_it_is_said_and_nothing_stays(
    labs: LabOnPaper, work: object, code: int, words: str
) -> None:
    ended, said = run(work)
    assert ended == code
    assert words in said
    assert labs.removed == ["onpaper"]


def test_sigterm_interrupts_as_well(labs: LabOnPaper) -> None:
    def end(_: Phases) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return HOLDS

    code = run_on_lab("demo", Console(file=StringIO()), "onpaper", False, end)
    assert (code, labs.removed) == (INTERRUPTED, ["onpaper"])


def test_with_keep_the_lab_stands_afterwards(labs: LabOnPaper) -> None:
    assert run(HOLDS, keep=True)[0] == HOLDS
    assert labs.removed == []


def test_a_lab_that_is_up_already_is_not_taken_away(labs: LabOnPaper) -> None:
    labs.up.add("onpaper")
    code, said = run(HOLDS)
    assert (code, labs.removed) == (FAILED, [])
    assert "lab onpaper is up" in said


def test_without_root_nothing_is_tried(labs: LabOnPaper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, said = run(AssertionError("tried"))
    assert (code, labs.removed) == (FAILED, [])
    assert "need root" in said
