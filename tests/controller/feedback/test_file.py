"""Files of feedback: every line is told what is wrong with it."""

from __future__ import annotations

import io

from controller.cli.feedback_file import read
from controller.cli.mistake import Mistake

ID = "0" * 26


def _read(text: str) -> tuple[list[tuple[int, str, str]], list[tuple[int, str]]]:
    found = list(read(io.StringIO(text)))
    good = [(each[0], each[1].kind, each[1].message_id or each[1].recipient)
            for each in found if not isinstance(each, Mistake)]  # fmt: skip
    return good, [(each.line, each.column) for each in found if isinstance(each, Mistake)]


def test_csv_has_its_columns_in_any_order_and_names_every_bad_line() -> None:
    good, bad = _read(
        "Message,kind,at,recipient,mailbox\n"
        f"{ID},Reply,2026-11-01T09:00:00+01:00,,\n"
        "\n"
        ",complaint,,reader@example.org,ada@x.test\n"
        f"{ID},sneeze,,,\n"
        f"{ID},reply,yesterday,,\n"
        f"{ID},reply,2026-11-01T09:00:00,,\n"
        ",reply,,reader@example.org,\n"
        f"{ID},reply,,,,too many\n"
    )
    assert good == [(2, "reply", ID), (4, "complaint", "reader@example.org")]
    assert bad == [(5, "kind"), (6, "at"), (7, "at"), (8, "message"), (9, "")]


def test_json_has_one_object_a_line() -> None:
    good, bad = _read(
        f'{{"kind": "bounce", "message": "<{ID}@x.test>", "evidence": "550 5.1.1 no"}}\n\n'
        '{"kind": "reply"\n'
        '{"kind": "reply", "colour": "red"}\n'
        '["reply"]\n'
        '{"kind": 3}\n'
    )
    assert good == [(1, "bounce", f"<{ID}@x.test>")]
    assert bad == [(3, ""), (4, "colour"), (5, ""), (6, "kind")]


def test_wrong_columns_end_the_reading_with_words() -> None:
    for head, column in (("kind,colour", "colour"), ("message", "kind"), ("kind", "message"),
                         ("kind,recipient", "message"), ("kind,kind,message", "")):  # fmt: skip
        assert _read(f"{head}\nreply,x,y\n") == ([], [(1, column)])
    assert _read("") == ([], [])
    assert _read('kind,message\n"a"x,y\n') == ([], [(2, "")])
