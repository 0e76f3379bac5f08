"""Every message of every recipient, checked as intake will check it, or what is wrong. Pure but for
reading the recipients' file; holds one row at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controller.campaigns.letter import Unfit, compose, message_key
from controller.campaigns.load import Loaded
from controller.campaigns.recipients import BadRow, Row, rows
from controller.campaigns.templates import Complaint
from controller.intake.check import Submission, read
from controller.intake.rejection import Rejection


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one recipient is to get. `contents`: the first message and its follow-ups."""

    line: int
    address: str
    zone: str
    contents: tuple[bytes, ...]


def prepared(loaded: Loaded) -> Iterator[Prepared | BadRow]:
    """In the order of the file. Raises BadFile."""
    for row in rows(loaded.recipients_file, loaded.campaign.recipients):
        yield row if isinstance(row, BadRow) else _prepare(loaded, row)


def _prepare(loaded: Loaded, row: Row) -> Prepared | BadRow:
    campaign = loaded.campaign
    contents = []
    for step, letter in enumerate(loaded.letters):
        key = message_key(campaign.campaign, step, row.address)
        try:
            content = compose(
                row.address,
                letter.subject.render(row.values),
                letter.text.render(row.values),
                letter.html.render(row.values) if letter.html else None,
                key,
            )
        except Complaint as complaint:
            return BadRow(row.line, "", str(complaint))
        except Unfit as error:
            return BadRow(row.line, "", f"{letter.text.place}: {error}")
        contents.append(content)
    taken = read(Submission(key, campaign.client, "", row.address, None, contents[0]))
    if isinstance(taken, Rejection):
        return BadRow(row.line, "", taken.error)
    return Prepared(row.line, row.address, row.zone, tuple(contents))
