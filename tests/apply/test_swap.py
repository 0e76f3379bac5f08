"""kill -9 between any two steps of a swap: the next run finds the old or the new generation, whole.

The process "dies" by an exception at its n-th change of the file system, for every n; what is on
the disk then is what the next run begins with. (Real processes killed on real nodes:
test_nodes_kill.py.)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from node_agent.apply import swap
from node_agent.apply.layout import Layout
from node_agent.apply.stage import present

_STEPS = ("fsync", "rename", "symlink", "unlink", "rmdir", "mkdir", "open")


class Killed(BaseException):
    """The process is gone."""


def _kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the `number`-th change of the file system (from 0) be the last thing that is not done."""
    count = 0

    def counting(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal count
            if count == number:
                raise Killed
            count += 1
            return original(*args, **kwargs)

        return call

    for name in _STEPS:
        # fsync counts as a step, but the disk need not spin for it here.
        real = (lambda *_: None) if name == "fsync" else getattr(os, name)
        monkeypatch.setattr(os, name, counting(real))


def _generation(layout: Layout, name: str) -> Path:
    directory = layout.generations / name
    for file in layout.links.values():
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        (directory / file).write_text(name)
    return directory


def _seen(layout: Layout) -> set[str]:
    """What readers of the fixed paths find."""
    return {path.read_text() for path in layout.links}


def _next_run(layout: Layout) -> None:
    unproven = swap.interrupted(layout)
    if unproven is not None:
        swap.revert(unproven, layout)
    if present(layout) is not None:
        swap.fix_links(layout)
    swap.tidy(layout)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.generations.mkdir(parents=True)
    return layout


@pytest.mark.parametrize("proven", [True, False])
def test_killed_at_any_step_the_next_run_has_one_whole_generation(
    proven: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        layout = Layout(tmp_path / str(number))
        layout.generations.mkdir(parents=True)
        swap.commit(swap.begin(_generation(layout, "1-old"), layout), layout)
        new = _generation(layout, "2-new")
        with monkeypatch.context() as patch:
            _kill_at(patch, number)
            try:
                change = swap.begin(new, layout)
                (swap.commit if proven else swap.revert)(change, layout)
                survived = True
            except Killed:
                survived = False
        _next_run(layout)
        assert len(_seen(layout)) == 1, f"killed at step {number}: {_seen(layout)}"
        assert _seen(layout) <= ({"1-old", "2-new"} if proven else {"1-old"})
        assert swap.interrupted(layout) is None
        assert not survived or not list(layout.home.rglob("*.new"))
        if survived:
            assert number > 10, "the kill did not reach the swap"
            assert _seen(layout) == ({"2-new"} if proven else {"1-old"})
            return
    raise AssertionError("never survived")


def test_killed_while_going_back_the_run_after_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        layout = Layout(tmp_path / str(number))
        layout.generations.mkdir(parents=True)
        swap.commit(swap.begin(_generation(layout, "1-old"), layout), layout)
        swap.begin(_generation(layout, "2-new"), layout)
        with monkeypatch.context() as patch:
            _kill_at(patch, number)
            try:
                _next_run(layout)
                survived = True
            except Killed:
                survived = False
        _next_run(layout)
        assert _seen(layout) == {"1-old"}
        assert (layout.generations / "failed-2-new").is_dir()
        if survived:
            return
    raise AssertionError("never survived")


def test_killed_during_the_first_swap_there_is_no_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        layout = Layout(tmp_path / str(number))
        layout.generations.mkdir(parents=True)
        new = _generation(layout, "1-new")
        with monkeypatch.context() as patch:
            _kill_at(patch, number)
            try:
                swap.begin(new, layout)
                survived = True
            except Killed:
                survived = False
        _next_run(layout)
        assert present(layout) is None
        if survived:
            return
    raise AssertionError("never survived")


def test_readers_see_all_files_change_at_once(layout: Layout) -> None:
    swap.commit(swap.begin(_generation(layout, "1-old"), layout), layout)
    staged = _generation(layout, "2-new")
    assert _seen(layout) == {"1-old"}
    swap.begin(staged, layout)
    assert _seen(layout) == {"2-new"}


def test_one_generation_before_and_the_last_failed_one_are_kept(layout: Layout) -> None:
    for name in ("1-a", "2-b", "3-c"):
        swap.commit(swap.begin(_generation(layout, name), layout), layout)
    for name in ("4-d", "4-e"):
        swap.revert(swap.begin(_generation(layout, name), layout), layout)
    assert {path.name for path in layout.generations.iterdir()} == {"2-b", "3-c", "failed-4-e"}
    assert present(layout) == layout.generations / "3-c"


def test_a_file_that_a_package_put_in_the_place_of_a_link_is_replaced(layout: Layout) -> None:
    swap.commit(swap.begin(_generation(layout, "1-a"), layout), layout)
    main_cf = layout.root / "etc/postfix/main.cf"
    main_cf.unlink()
    main_cf.write_text("the distribution's")
    assert swap.fix_links(layout) == [main_cf]
    assert _seen(layout) == {"1-a"}
    assert swap.fix_links(layout) == []
