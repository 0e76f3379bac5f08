"""The lock decides what nodes install; here it is small, and the real one is asked for the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.errors import LockError
from provisioning.lock import TARGETS, Target, tool_wheel, wheels
from provisioning.wheelhouse import requirements

ROOT = Path(__file__).resolve().parents[2]
CP311, CP313 = TARGETS["12"], TARGETS["13"]


def lock(*packages: str) -> str:
    own = """
[[package]]
name = "postfleet"
version = "1"
dependencies = [{ name = "a" }]
[package.optional-dependencies]
node-agent = [{ name = "b", extra = ["more"] }, { name = "w", marker = "sys_platform == 'win32'" }]
controller = [{ name = "psycopg" }]
"""
    return "version = 1\n" + own + "".join(packages)


def package(name: str, *files: str, more: str = "", version: str = "1.0") -> str:
    listed = "".join(f'{{ url = "https://x/{f}", hash = "sha256:{f:0<4.4}" }},' for f in files)
    return f'\n[[package]]\nname = "{name}"\nversion = "{version}"\nwheels = [{listed}]\n{more}\n'


A = package("a", "a-1.0-py3-none-any.whl")
B = package(
    "b",
    "b-1.0-cp311-cp311-musllinux_1_2_x86_64.whl",
    "b-1.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "b-1.0-cp313-cp313-manylinux_2_28_x86_64.whl",
    "b-1.0-cp311-cp311-manylinux_2_39_x86_64.whl",
    "b-1.0-cp311-cp311-macosx_11_0_arm64.whl",
    more='[package.optional-dependencies]\nmore = [{ name = "c" }]',
)
C = package("c", "c-1.0-cp310-abi3-manylinux2014_x86_64.whl", "c-1.0-py3-none-any.whl")


def files(text: str, target: Target) -> list[str]:
    return [wheel.filename for wheel in wheels(text, target)]


def test_dependencies_of_the_extra_are_followed_and_no_others() -> None:
    assert [w.name for w in wheels(lock(A, B, C), CP311)] == ["a", "b", "c"]


def test_each_python_gets_the_wheel_that_fits_it_best() -> None:
    assert files(lock(A, B, C), CP311)[1:] == [
        "b-1.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        "c-1.0-cp310-abi3-manylinux2014_x86_64.whl",
    ]
    assert files(lock(A, B, C), CP313)[1] == "b-1.0-cp313-cp313-manylinux_2_28_x86_64.whl"


def test_a_package_without_a_fitting_wheel_is_refused_by_name() -> None:
    only_mac = package("a", "a-1.0-cp311-cp311-macosx_11_0_arm64.whl")
    with pytest.raises(LockError, match=r"no hashed wheel of a 1\.0 for cp311"):
        wheels(lock(only_mac, B, C), CP311)


def test_a_wheel_without_a_hash_is_no_wheel() -> None:
    unhashed = A.replace("sha256:", "md5:")
    with pytest.raises(LockError, match="no hashed wheel of a"):
        wheels(lock(unhashed, B, C), CP311)


def test_where_the_lock_forked_the_version_for_this_python_is_taken() -> None:
    old = package("a", "a-1.0-py3-none-any.whl",
                  more="resolution-markers = [\"python_full_version < '3.13'\"]")  # fmt: skip
    new = package("a", "a-2.0-py3-none-any.whl", version="2.0",
                  more="resolution-markers = [\"python_full_version >= '3.13'\"]")  # fmt: skip
    text = lock(old, new, B, C)
    assert [wheels(text, t)[0].version for t in (CP311, CP313)] == ["1.0", "2.0"]


def test_a_package_that_the_lock_does_not_hold_is_named() -> None:
    with pytest.raises(LockError, match="holds 0 versions of c"):
        wheels(lock(A, B), CP311)
    with pytest.raises(LockError, match="does not hold pip"):
        tool_wheel(lock(), "pip", CP311)


@pytest.mark.parametrize("version", TARGETS)
def test_the_real_lock_serves_both_releases_and_brings_nothing_of_the_controller(
    version: str,
) -> None:
    text = (ROOT / "uv.lock").read_text()
    names = {wheel.name for wheel in wheels(text, TARGETS[version])}
    assert {"grpcio", "pydantic", "structlog", "jinja2"} <= names
    assert not names & {"psycopg", "psycopg-binary", "fabric", "paramiko", "cryptography"}
    assert tool_wheel(text, "pip", TARGETS[version]).filename.startswith("pip-")


def test_requirements_pin_version_and_digest_of_every_wheel() -> None:
    text = requirements(list(wheels(lock(A, B, C), CP311)))
    assert text.splitlines()[0] == "a==1.0 --hash=sha256:a-1."
    assert text.count("--hash=sha256:") == 3
