"""Dante's log, line by line. The lines are Dante 1.4.2's own."""

from __future__ import annotations

from pathlib import Path

from lab.proxies_log import Connection, parse_line, read_log

HEAD = "Nov 21 22:49:25 (1795301365.167890) danted[3494]: "
OPEN = HEAD + (
    "info: pass(1): tcp/connect [: username%harbor@10.81.9.9.43596 198.51.100.1.1080"
    " -> 198.51.100.1.43597 203.0.113.11.25"
)
CLOSE = HEAD + (
    "info: pass(1): tcp/connect ]: 18 -> username%harbor@10.81.9.9.43596 198.51.100.1.1080"
    " -> 7, 7 -> 198.51.100.1.43597 203.0.113.11.25 -> 18: remote peer closed."
    "  Session duration: 0s"
)
BAD_PASSWORD = HEAD + (
    "info: block(1): tcp/accept ]: 10.81.9.9.43606 198.51.100.2.1080: error after reading 17 bytes"
    ' in 0 seconds: system password authentication failed for user "harbor"'
)
NO_TARGET = HEAD + (
    "info: pass(1): tcp/accept ]: 0 -> 10.81.9.9.43618 198.51.100.3.1080 -> 0: remote peer error"
    " (Connection refused).  Session duration: 0s"
)
RUNNING = HEAD + "info: Dante/server[1/2] v1.4.2 running"


def test_a_connection_is_read_with_both_of_its_sides() -> None:
    assert parse_line(OPEN) == Connection(
        at=1795301365.16789,
        event="open",
        client="10.81.9.9",
        client_port=43596,
        proxy="198.51.100.1",
        user="harbor",
        exit="198.51.100.1",
        target="203.0.113.11",
        target_port=25,
    )


def test_its_end_names_the_same_connection_and_why() -> None:
    end = parse_line(CLOSE)
    assert end is not None
    assert (end.event, end.client_port, end.exit) == ("close", 43596, "198.51.100.1")
    assert end.reason.startswith("remote peer closed")


def test_refusals_say_why() -> None:
    password, target = parse_line(BAD_PASSWORD), parse_line(NO_TARGET)
    assert password is not None
    assert target is not None
    assert (password.event, password.proxy) == ("refused", "198.51.100.2")
    assert "authentication failed" in password.reason
    assert (target.event, target.proxy) == ("refused", "198.51.100.3")
    assert "Connection refused" in target.reason


def test_other_lines_are_left_out(tmp_path: Path) -> None:
    log = tmp_path / "dante.log"
    assert list(read_log(log)) == []
    log.write_text("\n".join([RUNNING, OPEN, CLOSE, "", OPEN[:90]]) + "\n")
    assert [c.event for c in read_log(log)] == ["open", "close"]
