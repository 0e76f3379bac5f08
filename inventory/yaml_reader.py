"""Read YAML into plain data, quickly and strictly, and find lines again when they are needed.

Strict: a key twice in a mapping is an error (YAML 1.2 section 3.2.1.3; PyYAML keeps the last one
silently), tags and several documents are refused, and plain words mean what YAML 1.2's core schema
says (section 10.3): `no` is text, `010` is ten, `12:30` is text and not 750. Anchors and aliases
work; merge keys (`<<`) do not.

Quick: data is built from libyaml's events, without a tree of nodes. Lines are not kept either;
`lines_of` reads the text again when there is an error to point at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import events
from yaml._yaml import CParser

from inventory.errors import Finding, Path

_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMERIC_START = frozenset("0123456789+-.")


@dataclass
class Reading:
    """What a text holds. `problems` are pairs of line (from 1; 0 unknown) and finding."""

    data: object = None
    problems: list[tuple[int, Finding]] = field(default_factory=list)


def read(text: str) -> Reading:
    """The text's one document as dict, list, str, int, float, bool and None."""
    return _Builder().build(text)


def lines_of(text: str, paths: Iterable[Path]) -> dict[Path, int]:
    """The line (from 1) at which each path stands; of what is not there, its container's."""
    wanted = set(paths)
    builder = _Builder({path[:length] for path in wanted for length in range(len(path) + 1)})
    builder.build(text)
    return {
        path: next(builder.lines[p] for p in _upwards(path) if p in builder.lines)
        if builder.lines
        else 1
        for path in wanted
    }


def _upwards(path: Path) -> Iterator[Path]:
    for length in range(len(path), -1, -1):
        yield path[:length]


class _Frame:
    """A mapping or sequence that is being filled."""

    __slots__ = ("container", "has_key", "key", "key_line", "path")

    def __init__(self, container: Any, path: Path | None) -> None:
        self.container = container
        # None: no line inside is wanted.
        self.path = path
        # Of a mapping: the last key; whether its value is still to come.
        self.key = ""
        self.has_key = False
        self.key_line = 0


class _Builder:
    """Turns events into data; notes the lines of the paths it was asked for."""

    def __init__(self, wanted: set[Path] | None = None) -> None:
        self.reading = Reading()
        self.lines: dict[Path, int] = {}
        self._wanted = wanted or set()
        self._stack: list[_Frame] = []
        self._anchors: dict[str, object] = {}
        self._documents = 0

    def build(self, text: str) -> Reading:
        handlers: dict[type, Any] = {
            events.ScalarEvent: self._scalar,
            events.MappingStartEvent: self._open,
            events.SequenceStartEvent: self._open,
            events.MappingEndEvent: self._close,
            events.SequenceEndEvent: self._close,
            events.AliasEvent: self._alias,
            events.DocumentStartEvent: self._document,
        }
        try:
            parser = CParser(text)
            while (event := parser.get_event()) is not None:
                handler = handlers.get(event.__class__)
                if handler is not None:
                    handler(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            words = ", ".join(part for part in (error.context, error.problem) if part)
            self._syntax(mark.line + 1 if mark else 0, words)
        except yaml.YAMLError as error:
            self._syntax(0, str(error))
        return self.reading

    def _syntax(self, line: int, words: str) -> None:
        self.reading.data = None
        self.reading.problems = [(line, Finding((), None, f"not valid YAML: {words}"))]

    def _complain(self, event: Any, value: object, message: str) -> None:
        finding = Finding(self._path(), value, message)
        self.reading.problems.append((event.start_mark.line + 1, finding))

    def _path(self) -> Path:
        """Where the next value goes; what holds it is in its own container already."""
        steps: list[str | int] = []
        for frame in self._stack:
            innermost = frame is self._stack[-1]
            if isinstance(frame.container, list):
                steps.append(len(frame.container) - (not innermost))
            elif frame.has_key or not innermost:
                steps.append(frame.key)
        return tuple(steps)

    def _document(self, event: events.Event) -> None:
        self._documents += 1
        if self._documents == 2:
            self._complain(event, None, "a second YAML document; one is allowed")

    def _scalar(self, event: Any) -> None:
        if event.tag is not None and event.tag != "!":
            self._complain(event, event.tag, "YAML tags are not allowed")
        text = event.value
        value: object = text
        if event.implicit[0] and (text in _WORDS or text[0] in _NUMERIC_START):
            value = _plain(text)
        if event.anchor:
            self._anchors[event.anchor] = value
        self._place(event, value)

    def _open(self, event: Any) -> None:
        if event.tag is not None:
            self._complain(event, event.tag, "YAML tags are not allowed")
        container: object = {} if isinstance(event, events.MappingStartEvent) else []
        if event.anchor:
            self._anchors[event.anchor] = container
        path = self._place(event, container)
        self._stack.append(_Frame(container, path))

    def _close(self, _event: events.Event) -> None:
        self._stack.pop()

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            self._complain(event, f"*{event.anchor}", "no such anchor stands before it")
        self._place(event, self._anchors.get(event.anchor))

    def _place(self, event: Any, value: object) -> Path | None:
        """Puts a value where it belongs; answers its path where lines inside it are wanted."""
        if not self._stack:
            if self._documents == 1:
                self.reading.data = value
            return self._note((), event.start_mark.line) if self._wanted else None
        frame = self._stack[-1]
        step: str | int
        if isinstance(frame.container, list):
            step = len(frame.container)
            line = event.start_mark.line if frame.path is not None else 0
            frame.container.append(value)
        elif not frame.has_key:
            self._key(frame, event, value)
            return None
        else:
            step, line = frame.key, frame.key_line
            frame.container[step] = value
            frame.has_key = False
        return None if frame.path is None else self._note((*frame.path, step), line)

    def _note(self, path: Path, line: int) -> Path | None:
        if path not in self._wanted:
            return None
        self.lines[path] = line + 1
        return path

    def _key(self, frame: _Frame, event: Any, key: object) -> None:
        if not isinstance(event, events.ScalarEvent):
            self._complain(event, None, "a key must be plain text")
            key = f"key {len(frame.container)}"
        frame.key = key if isinstance(key, str) else event.value
        frame.has_key = True
        if frame.key in frame.container:
            self._complain(event, None, "stands twice in this mapping; write it once")
        frame.key_line = event.start_mark.line


def _plain(text: str) -> object:
    """The meaning of an unquoted word (YAML 1.2 section 10.3.2, no octal, hex, infinity)."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text) if len(text) < 4000 else text
    if _FLOAT.match(text):
        return float(text)
    return text
