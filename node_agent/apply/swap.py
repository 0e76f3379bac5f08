"""Makes a staged generation the current one, and takes it back. Safe against kill -9 at any point.

    begin    write the journal (previous, next), then point `current` at the next: one rename
    commit   remove the journal; the generation is proven from here on
    revert   point `current` back (or remove it where there was none), keep the failed generation
             under the name failed-…, remove the journal

A journal found at the start of a run means that the run before was ended between begin and commit:
whoever comes next reverts, because only the previous generation is known to work. Every step may be
repeated, so a revert that is itself interrupted is simply done again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from node_agent.apply import durable
from node_agent.apply.errors import SwapFailed
from node_agent.apply.layout import Layout
from node_agent.apply.stage import present

FAILED = "failed-"


@dataclass(frozen=True)
class Swap:
    """A change of generation that is not proven yet. Names of directories within generations/."""

    previous: str | None
    next: str


def begin(staged: Path, layout: Layout) -> Swap:
    """Make `staged` current. On SwapFailed `current` is what it was."""
    before = present(layout)
    swap = Swap(before.name if before else None, staged.name)
    try:
        durable.replace(layout.journal, json.dumps(vars(swap)).encode(), mode=0o600)
        durable.point(layout.current, f"generations/{swap.next}")
        fix_links(layout)
    except OSError as error:
        raise SwapFailed(
            f"cannot make {staged} current: {error.strerror or error} ({error.filename}); "
            "the previous generation stays"
        ) from error
    return swap


def fix_links(layout: Layout) -> list[Path]:
    """Let every fixed path show its file of `current`; return those that did not.

    A package upgrade may have put a file of its own in the place of a link.
    """
    wrong = []
    for path, file in layout.links.items():
        target = str(layout.current / file)
        if path.is_symlink() and str(path.readlink()) == target:
            continue
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        durable.point(path, target)
        wrong.append(path)
    return wrong


def commit(swap: Swap, layout: Layout) -> None:
    """Declare the current generation proven and remove what is older than the previous one."""
    durable.remove(layout.journal)
    if swap.previous is not None:
        durable.point(layout.previous, f"generations/{swap.previous}")
    tidy(layout)


def revert(swap: Swap, layout: Layout) -> None:
    """Make the previous generation current again."""
    try:
        if swap.previous is None:
            durable.remove(layout.current)
        else:
            durable.point(layout.current, f"generations/{swap.previous}")
        keep_failed(layout.generations / swap.next, layout)
        durable.remove(layout.journal)
    except OSError as error:
        raise SwapFailed(
            f"cannot go back to generation {swap.previous or 'none'}: {error.strerror or error} "
            f"({error.filename}); {layout.journal} stays, and the next run tries again"
        ) from error


def keep_failed(directory: Path, layout: Layout) -> None:
    """Keep a generation that could not be applied for the post-mortem; only the last one."""
    if not directory.is_dir():
        return
    kept = directory.with_name(FAILED + directory.name)
    directory.rename(kept)
    durable.sync(layout.generations)
    for older in layout.generations.glob(f"{FAILED}*"):
        if older != kept:
            durable.remove(older)


def interrupted(layout: Layout) -> Swap | None:
    """Return the swap that a run before this one began and did not end, or None."""
    try:
        text = layout.journal.read_text()
    except FileNotFoundError:
        return None
    fields = json.loads(text)
    return Swap(fields["previous"], fields["next"])


def tidy(layout: Layout) -> None:
    """Remove generations that nothing refers to. Only without a journal."""
    kept = {path.resolve() for path in (layout.current, layout.previous)}
    for directory in layout.generations.glob("*"):
        if directory.resolve() not in kept and not directory.name.startswith(FAILED):
            durable.remove(directory)
