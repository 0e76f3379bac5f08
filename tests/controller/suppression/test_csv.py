"""Lists of suppressions: every line is told what is wrong with it; what is written can be read."""

from __future__ import annotations

import io

from postfleet.v1 import suppression_pb2

from controller.cli.suppression_csv import Mistake, as_message, read, write
from controller.suppression.entry import Entry

_LIST = """\
recipient,reason,since
ada@example.org,unsubscribe,2026-11-01T09:00:00+01:00

"bob@example.org",,
nonsense,,
carol@example.org,x,yesterday
@example.net,,
dave@example.org,x,,too many
"""


def test_good_lines_become_entries_and_bad_ones_say_line_and_column() -> None:
    found = list(read(io.StringIO(_LIST), "harbor", "import"))
    good = [each for each in found if not isinstance(each, Mistake)]
    assert [(line, each.recipient, each.reason) for line, each in good] == [
        (2, "ada@example.org", "unsubscribe"),
        (4, "bob@example.org", "import"),
        (7, "@example.net", "import"),
    ]
    assert {each.client_id for _, each in good} == {"harbor"}
    bad = [each for each in found if isinstance(each, Mistake)]
    assert [(each.line, each.column) for each in bad] == [(5, "recipient"), (6, "since"), (8, "")]
    assert str(bad[1]).startswith("line 6, column since: 'yesterday' is no time")


def test_a_plain_list_of_addresses_needs_no_first_line() -> None:
    found = list(read(io.StringIO("a@b.test\n@c.test\n"), "", "request"))
    assert [each[1].recipient for each in found if isinstance(each, tuple)] == [
        "a@b.test",
        "@c.test",
    ]


def test_unknown_columns_and_broken_quotes_end_the_reading_with_words() -> None:
    (mistake,) = read(io.StringIO("recipient,colour\na@b.test,red\n"), "", "request")
    assert isinstance(mistake, Mistake)
    assert mistake.column == "colour"
    (mistake,) = read(io.StringIO("mail\na\n"), "", "request")
    assert "recipient must be among them" in str(mistake)
    *_, mistake = read(io.StringIO('recipient\n"a@b.test"x\n'), "", "request")
    assert "is no CSV" in str(mistake)


def test_what_is_written_is_read_again() -> None:
    entries = [each[1] for each in read(io.StringIO(_LIST), "", "r") if isinstance(each, tuple)]
    entries.append(Entry("harbor", "e@f.test", "two, words", 'a "quoted" word\nand a line', None))
    rows = [as_message(each) for each in entries]
    for row in rows:
        if not row.HasField("since"):
            row.since.FromJsonString("2026-11-02T10:00:00.25Z")
    out = io.StringIO()
    assert write(rows, out) == len(rows)
    again = [each[1] for each in read(io.StringIO(out.getvalue()), "", "r")
             if isinstance(each, tuple)]  # fmt: skip
    assert [as_message(each) for each in again] == rows
    assert isinstance(rows[0], suppression_pb2.Suppression)
