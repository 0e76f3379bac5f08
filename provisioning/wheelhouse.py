"""Builds, once on the operator's machine, all that a node installs: one tarball for each Python.

A tarball holds the wheel of this project, the locked wheels of its extra `node-agent`, pip's own
wheel, and a requirements file with the SHA-256 of each; the node's pip refuses anything else. The
name of a release is its version and a digest of all its wheels, so equal names mean equal content,
and building again what was built changes nothing.

Files stand in `dist/wheelhouse/`; a locked wheel that is there with the right digest is not
downloaded again. `release.json` beside them names what was built, so that the same release can be
brought to nodes later, or from another folder (`load`).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from packaging.utils import parse_wheel_filename

from provisioning.errors import LockError
from provisioning.lock import TARGETS, LockedWheel, Target, tool_wheel, wheels

CHECKOUT = Path(__file__).resolve().parent.parent
WHEELHOUSE = CHECKOUT / "dist" / "wheelhouse"
# Any fixed time: the same files give the same wheel and the same tarball (reproducible-builds.org).
_EPOCH_S = 1_767_225_600


@dataclass(frozen=True)
class Bundle:
    """What one kind of node gets. `sha256` is the tarball's."""

    release_id: str
    target: Target
    path: Path
    sha256: str
    pip_wheel: str


def build(house: Path = WHEELHOUSE, checkout: Path = CHECKOUT) -> dict[str, Bundle]:
    """Debian's major version -> bundle. Raises LockError; a failure leaves what was."""
    lock = (checkout / "uv.lock").read_text()
    house.mkdir(parents=True, exist_ok=True)
    own = _own_wheel(house, checkout)
    sets = {}
    for version, target in TARGETS.items():
        pip = tool_wheel(lock, "pip", target)
        sets[version] = ([own, *wheels(lock, target)], pip)
    release_id = _release_id(own, [wheel for some, pip in sets.values() for wheel in (*some, pip)])
    bundles = {}
    for version, (some, pip) in sets.items():
        _download(house, TARGETS[version], [*some[1:], pip])
        bundles[version] = _bundle(house, TARGETS[version], release_id, some, pip)
    _describe(house, bundles)
    return bundles


def load(house: Path) -> dict[str, Bundle]:
    """What `build` made in this folder, verified. Raises LockError."""
    try:
        described = json.loads((house / "release.json").read_text())
        return {
            version: Bundle(
                release_id=described["release_id"],
                target=TARGETS[version],
                path=_verified(house / one["file"], one["sha256"]),
                sha256=one["sha256"],
                pip_wheel=one["pip_wheel"],
            )
            for version, one in described["bundles"].items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LockError(f"{house} holds no release that was built whole: {error!r}") from error


def _verified(path: Path, sha256: str) -> Path:
    if sha256_of(path) != sha256:
        raise ValueError(f"{path} is not what release.json says it is")
    return path


def _describe(house: Path, bundles: dict[str, Bundle]) -> None:
    described = {
        "release_id": next(iter(bundles.values())).release_id,
        "bundles": {
            version: {"file": b.path.name, "sha256": b.sha256, "pip_wheel": b.pip_wheel}
            for version, b in bundles.items()
        },
    }
    staging = house / "release.json.new"
    staging.write_text(json.dumps(described, indent=1) + "\n")
    staging.replace(house / "release.json")


def requirements(some: list[LockedWheel]) -> str:
    """A requirements file that pins each wheel's version and digest (pip's hash-checking mode)."""
    return "".join(f"{w.name}=={w.version} --hash=sha256:{w.sha256}\n" for w in some)


def _release_id(own: LockedWheel, every: list[LockedWheel]) -> str:
    listed = "\n".join(sorted({f"{wheel.filename} {wheel.sha256}" for wheel in every}))
    return f"{own.version}-{hashlib.sha256(listed.encode()).hexdigest()[:10]}"


def _own_wheel(house: Path, checkout: Path) -> LockedWheel:
    fresh = house / "own"
    for old in fresh.glob("*.whl"):
        old.unlink()
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(fresh)]
    _run(argv, "building this project's wheel", checkout, SOURCE_DATE_EPOCH=str(_EPOCH_S))
    (path,) = fresh.glob("*.whl")
    kept = path.replace(house / path.name)
    name, version, _, _ = parse_wheel_filename(kept.name)
    return LockedWheel(name, str(version), kept.name, sha256_of(kept))


def _download(house: Path, target: Target, some: list[LockedWheel]) -> None:
    missing = [wheel for wheel in some if not _is_there(house, wheel)]
    if not missing:
        return
    wanted = house / f"{target.name}.download.txt"
    wanted.write_text(requirements(missing))
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    argv += ["--only-binary=:all:", "--implementation=cp", "--dest", str(house), "-r", str(wanted)]
    argv += [f"--python-version={target.python[0]}.{target.python[1]}"]
    argv += [f"--abi={abi}" for abi in (target.name, "abi3", "none")]
    argv += [f"--platform={p}" for p in dict.fromkeys(t.platform for t in target.tags)]
    _run(argv, f"downloading {len(missing)} wheels for {target.name}")
    absent = [wheel.filename for wheel in missing if not _is_there(house, wheel)]
    if absent:
        raise LockError(f"pip downloaded all but {', '.join(absent)} into {house}")


def _is_there(house: Path, wheel: LockedWheel) -> bool:
    path = house / wheel.filename
    return path.is_file() and sha256_of(path) == wheel.sha256


def _bundle(
    house: Path, target: Target, release_id: str, some: list[LockedWheel], pip: LockedWheel
) -> Bundle:
    path = house / f"postfleet-{release_id}-{target.name}.tar"
    staging = path.with_suffix(".new")
    with tarfile.open(staging, "w", format=tarfile.PAX_FORMAT) as tar:
        for wheel in [*some, pip]:
            _add(tar, wheel.filename, (house / wheel.filename).read_bytes())
        _add(tar, "requirements.txt", requirements(some).encode())
    staging.replace(path)
    for old in house.glob(f"postfleet-*-{target.name}.tar"):
        if old != path:
            old.unlink()
    return Bundle(release_id, target, path, sha256_of(path), pip.filename)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(content), _EPOCH_S, 0o644
    tar.addfile(info, BytesIO(content))


def sha256_of(path: Path) -> str:
    """Digest of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _run(argv: list[str], what: str, cwd: Path = CHECKOUT, **environment: str) -> None:
    done = subprocess.run(
        argv, cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment}
    )
    if done.returncode != 0:
        raise LockError(
            f"{what} failed: {' '.join(argv)}\n{(done.stderr or done.stdout).strip()}\n"
            "No node was touched."
        )
