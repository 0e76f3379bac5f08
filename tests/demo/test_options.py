"""The demonstration's command line: mistakes end with one line and 2, nothing is started."""

from __future__ import annotations

import pytest

from lab.demo.options import parse


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "ci-full"], "1 to 12 of a-z and 0-9"),
        (["--nodes", "0"], "1 or more"),
        (["--nodes", "many"], "1 or more"),
        (["--nodes", "2000"], "0 to 200"),
        (["--input", "/nowhere/at/all"], "there is nothing"),
    ],
)
def test_a_mistake_is_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, "the demonstration")
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
