"""Finds the lines on which the tables and keys of a TOML file stand. Pure.

tomllib tells positions of broken syntax only. This reads a file that tomllib accepted, line by
line, and follows just enough of the syntax (strings of several lines, arrays over several lines) to
know where `[[rule]]` number 3 begins and where its key `text` stands.
"""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_TABLE = re.compile(r"\s*\[\[\s*([A-Za-z0-9_-]+)\s*\]\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_TOKENS = re.compile(
    r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|\#.*|[\[\]]',
)


def lines_of(text: str) -> dict[Path, int]:
    """Line numbers from 1 of arrays of tables and the keys in them: ("rule", 2, "text") -> 31."""
    found: dict[Path, int] = {}
    counts: dict[str, int] = {}
    here: Path = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if not quote and not depth:
            if table := _TABLE.match(line):
                name = table[1]
                here = (name, counts.setdefault(name, 0))
                counts[name] += 1
                found[here] = number
                continue
            if key := _KEY.match(line):
                found[*here, key[1]] = number
        depth, quote = _after(line, depth, quote)
    return found


def line_of(path: Path, lines: dict[Path, int]) -> int:
    """The line of the path, or of the nearest thing that holds it; 0: nowhere."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 0


def _after(line: str, depth: int, quote: str) -> tuple[int, str]:
    """How deep in brackets, and in which string of several lines, the line ends."""
    position = 0
    while position < len(line):
        if quote:
            end = line.find(quote, position)
            if end < 0:
                return depth, quote
            position, quote = end + len(quote), ""
            continue
        token = _TOKENS.search(line, position)
        if token is None:
            break
        position = token.end()
        if token[0] in ('"""', "'''"):
            quote = token[0]
        elif token[0] == "[":
            depth += 1
        elif token[0] == "]":
            depth -= 1
    return depth, quote
