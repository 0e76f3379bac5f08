"""Writes a generation beside the running one, and compares one on disk with what it should be.

A staged generation is complete (maps compiled, owners and modes set, synced) before anything refers
to it. Its directory is /etc/postfleet/generations/<generation>-<random>.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from pathlib import Path

from node_agent.apply import durable
from node_agent.apply.command import run
from node_agent.apply.errors import CheckFailed, SwapFailed
from node_agent.apply.layout import Layout
from node_agent.apply.render import Rendered

MAPS = ("postfix/sender_transport", "postfix/senders")
_MANIFEST = "manifest.json"
# Every program of Postfix that finds main.cf younger than a second or two takes it for a file that
# somebody is still writing, and reads it again and again until it is older (dict_load_file_xp).
# These files are whole before anybody reads them, and may look it.
_LOOKS_OLDER_S = 60


def stage(rendered: Rendered, generation: int, layout: Layout) -> Path:
    """Write all files to a new directory and return it. Raises SwapFailed (disk) or CheckFailed."""
    directory = layout.generations / f"{generation}-{secrets.token_hex(4)}"
    looks_written_s = time.time() - _LOOKS_OLDER_S
    try:
        # Others pass through to what is theirs (modes of the files) and cannot list.
        layout.home.mkdir(mode=0o755, parents=True, exist_ok=True)
        layout.generations.mkdir(mode=0o711, exist_ok=True)
        directory.mkdir(mode=0o711)
        directory.chmod(0o711)
        for path, file in sorted(rendered.items()):
            durable.write_new(directory / path, file.content, file.mode, file.group)
            os.utime(directory / path, (looks_written_s, looks_written_s))
        for below in directory.rglob("*"):
            if below.is_dir():
                below.chmod(0o755 if below.name == "postfix" else 0o711)
    except OSError as error:
        durable.remove(directory)
        raise SwapFailed(
            f"cannot write generation {generation} to {directory}: {error.strerror or error}; "
            "nothing was touched; look at `df /etc`"
        ) from error
    return directory


def compile_maps(directory: Path) -> None:
    """Make the lmdb files and the manifest; sync it all. Raises CheckFailed."""
    for path in MAPS:
        outcome = run(
            "/usr/sbin/postmap", "-c", str(directory / "postfix"), f"lmdb:{directory / path}"
        )
        if not outcome.ok or outcome.stderr.strip():
            raise CheckFailed(f"postmap refuses {path}: {outcome}; nothing was touched")
    durable.write_new(directory / _MANIFEST, json.dumps(_digests(directory)).encode(), 0o600)
    durable.sync_tree(directory)


def intact(directory: Path) -> bool:
    """True when every file of a generation is what was written, by the digests beside them."""
    try:
        return bool(json.loads((directory / _MANIFEST).read_bytes()) == _digests(directory))
    except (OSError, ValueError):
        return False


def _digests(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != _MANIFEST
    }


def holds(directory: Path, rendered: Rendered) -> bool:
    """True when `directory` contains exactly these files, with these modes, and compiled maps."""
    try:
        for path, file in rendered.items():
            target = directory / path
            if target.read_bytes() != file.content or target.stat().st_mode & 0o7777 != file.mode:
                return False
        return all((directory / f"{path}.lmdb").is_file() for path in MAPS)
    except OSError:
        return False


def changed(before: Path | None, after: Path, part: str) -> bool:
    """True when the files below `part` (a name within a generation) differ in name or content.

    Compiled maps are left out: their sources tell, and lmdb files differ without meaning it.
    """
    return before is None or _contents(before / part) != _contents(after / part)


def _contents(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {"": path.read_bytes()}
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.suffix != ".lmdb"
    }


def present(layout: Layout) -> Path | None:
    """Return the generation that `current` shows, or None."""
    try:
        return layout.home / layout.current.readlink()
    except OSError:
        return None
