"""Rows of CSV and JSONL, each with its line and column where it is wrong."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.campaigns.recipients import BadFile, BadRow, Row, columns_of, rows
from controller.campaigns.schema import Recipients


def reading(folder: Path, text: str, name: str = "p.csv", **where: str) -> list[str]:
    """Each row as `line address`, or what is wrong with it."""
    (folder / name).write_text(text, encoding="utf-8", newline="")
    found = rows(folder / name, Recipients(file=name, **where))
    return [str(each) if isinstance(each, BadRow) else f"{each.line} {each.address}"
            for each in found]  # fmt: skip


def test_every_bad_row_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    text = (
        "email,name,tz\r\nA@B.Test,Ann,\r\nno-address,x,\r\n,x,\r\n"
        'c@d.test,"two\r\nlines",Europe/Berlin\r\ne@f.test,x\r\ng@h.test,x,Mars/Base\r\n'
        "a@b.test,again,\r\n\r\ni@j.test,x,UTC\r\n"
    )
    assert reading(tmp_path, text, time_zone="tz") == [
        "2 A@b.test",
        "line 3, column email: 'no-address': there is no @",
        "line 4, column email: is empty; it is to hold the recipient's address",
        "5 c@d.test",
        "line 7: has 2 cells, the first line names 3 columns",
        "line 8, column tz: 'Mars/Base' is no time zone of the IANA database, such as "
        "Europe/Berlin",
        "line 9, column email: a@b.test stands in line 2 already",
        "11 i@j.test",
    ]


def test_objects_a_line(tmp_path: Path) -> None:
    lines = [
        '{"email": "a@b.test", "tags": ["x", 1], "n": null}', "[1]", "{oops", "",
        '{"email": 7}', '{"email": "c@d.test", "deep": {"a": 1}}', '{"e mail": 1}',
        '{"email": "e@f.test"}',
    ]  # fmt: skip
    found = reading(tmp_path, "\n".join(lines), "p.jsonl")
    assert found[0] == "1 a@b.test"
    assert [line.partition(":")[0] for line in found[1:-1]] == [
        "line 2", "line 3", "line 5, column email", "line 6, column deep", "line 7, column e mail",
    ]  # fmt: skip
    assert found[-1] == "8 e@f.test"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no columns"),
        ("email,First Name\n", r"column 2: 'First Name' .* such as first_name"),
        ("email,email\n", "column 2: 'email' stands there twice"),
        ('"email\n', "line 1"),
    ],
)
def test_a_first_line_that_names_nothing_usable(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(BadFile, match=words):
        columns_of(tmp_path / "p.csv")


def test_a_broken_quote_and_other_octets_are_told(tmp_path: Path) -> None:
    assert reading(tmp_path, 'email,n\na@b.test,"x"y\n')[-1].startswith("line 2: is no CSV")
    (tmp_path / "p.csv").write_bytes(b"email\na@b.test\n\xff\n")
    with pytest.raises(BadFile, match="is not UTF-8"):
        list(rows(tmp_path / "p.csv", Recipients(file="p.csv")))


_CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_CELLS, max_size=8))
def test_what_was_written_is_read(tmp_path: Path, names: list[str]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["email", "name"])
    for n, name in enumerate(names):
        writer.writerow([f"p{n}@r.test", name])
    (tmp_path / "p.csv").write_text(out.getvalue(), encoding="utf-8", newline="")
    lines = [json.dumps({"email": f"p{n}@r.test", "name": name}) for n, name in enumerate(names)]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    for file in ("p.csv", "p.jsonl"):
        read = list(rows(tmp_path / file, Recipients(file=file)))
        assert [r.values["name"] for r in read if isinstance(r, Row)] == names
