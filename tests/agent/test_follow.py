"""The log is read line by line, each once, whatever happens to its files."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

from node_agent.agent.maillog.follow import LogFile
from node_agent.agent.maillog.position import Position

NOW_MS = 1_700_000_000_000


class Reader:
    """Reads all there is and stores the position, as the agent does; `restart` forgets the rest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position: Position | None = None
        self.lines: list[str] = []
        self.file = LogFile(path, None, lambda: NOW_MS)

    def read(self) -> list[str]:
        while (chunk := self.file.read()) is not None:
            self.lines += chunk.lines
            self.position = Position.from_json(chunk.position.as_json())
        return self.lines

    def restart(self) -> None:
        self.file.close()
        self.file = LogFile(self.path, self.position, lambda: NOW_MS)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "mail.log"


def write(path: Path, *numbers: int, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("\n".join(f"line {n:05d} of the log" for n in numbers) + end)


def lines(*numbers: int) -> list[str]:
    return [f"line {n:05d} of the log" for n in numbers]


def rotated(path: Path, name: str, age_s: int) -> Path:
    target = path.with_name(name)
    path.rename(target)
    stamp = 1_700_000_000 - age_s
    os.utime(target, (stamp, stamp))
    return target


def test_a_log_that_is_not_there_yet_is_waited_for(log: Path) -> None:
    reader = Reader(log)
    assert reader.read() == []
    write(log, 1)
    assert reader.read() == lines(1)


def test_a_line_counts_when_its_end_is_written(log: Path) -> None:
    reader = Reader(log)
    write(log, 1, 2, end="")
    assert reader.read() == lines(1)
    write(log, end="\n")
    assert reader.read() == lines(1, 2)


def test_a_restart_goes_on_where_the_position_was_stored(log: Path) -> None:
    reader = Reader(log)
    write(log, 1, 2)
    reader.read()
    reader.restart()
    write(log, 3)
    assert reader.read() == lines(1, 2, 3)


def test_a_renamed_file_is_read_to_its_end_before_the_new_one(log: Path) -> None:
    reader = Reader(log)
    write(log, 1)
    reader.read()
    old = rotated(log, "mail.log.1", 10)
    write(old, 2)
    log.touch()
    assert reader.read() == lines(1, 2)
    write(old, 3)
    write(log, 4)
    assert reader.read() == lines(1, 2, 3, 4)
    assert reader.file.gaps == 0


def test_several_rotations_while_the_agent_was_down_are_read_in_order(log: Path) -> None:
    reader = Reader(log)
    write(log, 1)
    reader.read()
    write(log, 2)
    rotated(log, "mail.log.3", 300)
    write(log, 3)
    rotated(log, "mail.log.2", 200)
    write(log, 4)
    rotated(log, "mail.log.1", 100)
    write(log, 5)
    reader.restart()
    assert reader.read() == lines(1, 2, 3, 4, 5)
    assert reader.file.gaps == 0


def test_a_crash_among_rotated_files_neither_loses_nor_repeats(log: Path) -> None:
    reader = Reader(log)
    write(log, 1)
    reader.read()
    write(log, *range(2, 9000))
    rotated(log, "mail.log.2", 200)
    write(log, *range(9000, 18000))
    rotated(log, "mail.log.1", 100)
    write(log, 18000)
    reader.restart()
    chunk = reader.file.read()
    while chunk is not None:
        reader.lines += chunk.lines
        reader.position = chunk.position
        reader.restart()
        chunk = reader.file.read()
    assert reader.lines == lines(*range(1, 18001))
    assert reader.file.gaps == 0


def test_a_compressed_file_is_found_again(log: Path) -> None:
    reader = Reader(log)
    write(log, 1)
    reader.read()
    write(log, 2)
    old = rotated(log, "mail.log.1", 100)
    with gzip.open(f"{old}.gz", "wb") as packed:
        packed.write(old.read_bytes())
    old.unlink()
    write(log, 3)
    reader.restart()
    assert reader.read() == lines(1, 2, 3)
    assert reader.file.gaps == 0


@pytest.mark.parametrize("restarts", [False, True])
def test_copy_and_truncate_is_followed_through_the_copy(log: Path, restarts: bool) -> None:
    reader = Reader(log)
    write(log, 1)
    reader.read()
    write(log, 2)
    shutil.copy(log, log.with_name("mail.log.1"))
    os.truncate(log, 0)
    write(log, 3)
    if restarts:
        reader.restart()
    assert reader.read() == lines(1, 2, 3)
    assert reader.file.gaps == 0


def test_a_truncated_file_that_has_grown_again_is_recognised(log: Path) -> None:
    reader = Reader(log)
    write(log, 1)
    reader.read()
    log.write_text("")
    write(log, *range(10, 40))
    assert reader.read() == lines(1, *range(10, 40))


def test_a_truncation_without_a_copy_is_a_gap_with_its_time(log: Path) -> None:
    reader = Reader(log)
    write(log, 1, 2, 3)
    reader.read()
    os.truncate(log, 0)
    write(log, 4)
    assert reader.read() == lines(1, 2, 3, 4)
    assert reader.file.gaps == 1
    assert reader.file.gap_ms == NOW_MS
    reader.restart()
    reader.read()
    assert reader.file.gap_ms == NOW_MS


def test_a_file_that_was_rotated_away_after_it_was_read_is_no_gap(log: Path) -> None:
    reader = Reader(log)
    write(log, 1)
    reader.read()
    log.unlink()
    write(log, 2)
    assert reader.read() == lines(1, 2)
    assert reader.file.gaps == 0


def test_a_file_that_was_deleted_unread_is_a_gap(log: Path) -> None:
    reader = Reader(log)
    write(log, 1)
    reader.read()
    write(log, 2)
    log.unlink()
    write(log, 3)
    reader.restart()
    assert reader.read() == lines(1, 3)
    assert reader.file.gaps == 1


def test_nuls_of_a_sparse_file_and_foreign_octets_stop_nothing(log: Path) -> None:
    reader = Reader(log)
    log.write_bytes(b"\0" * 5000 + b"line \xff\xfe\nnext\n")
    assert reader.read() == ["line \\xff\\xfe", "next"]


def test_a_line_without_end_is_taken_in_pieces(log: Path) -> None:
    reader = Reader(log)
    log.write_bytes(b"x" * 500_000 + b"\nnext\n")
    assert reader.read()[-1].endswith("next")
    assert sum(map(len, reader.lines)) == 500_004


def test_a_log_that_is_gone_is_not_taken_for_a_log_without_news(log: Path) -> None:
    reader = Reader(log)
    reader.read()
    assert not reader.file.missing
    write(log, 1)
    reader.read()
    assert not reader.file.missing
    log.unlink()
    reader.restart()
    reader.read()
    assert reader.file.missing
