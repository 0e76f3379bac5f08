"""Draws the day as an SVG: for each provider what it took and refused, hour by hour. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lab.day.series import Day, Hour

_WIDTH, _ROW, _LEFT, _TOP, _GAP = 760, 120, 110, 46, 34
_STYLE = (
    "text{font:12px sans-serif;fill:#333}.t{font-size:15px;font-weight:bold}"
    ".taken{fill:#4c78a8}.refused{fill:#e45756}.limit{stroke:#333;stroke-dasharray:5 4}"
    ".axis{stroke:#bbb}"
)


def draw(day: Day) -> str:
    """Blue: taken; red on top: refused for their number; dashed: what would be taken in an hour."""
    height = _TOP + len(day.hours) * (_ROW + _GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="t" x="{_LEFT}" y="20">Messages an hour, by provider</text>',
        f'<text x="{_LEFT}" y="37">blue: taken; red: refused for their number; '
        "dashed: the limit that nobody tells</text>",
    ]
    for number, (provider, hours) in enumerate(day.hours.items()):
        top = _TOP + number * (_ROW + _GAP)
        limit = day.limits.get(provider)
        lines += _row(provider, hours, limit and limit * day.egresses, top)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _row(provider: str, hours: tuple[Hour, ...], limit: int | None, top: int) -> Iterator[str]:
    highest = max([1, limit or 0, *(hour.taken + hour.refused for hour in hours)])
    base, wide = top + _ROW, (_WIDTH - _LEFT - 20) / max(1, len(hours))

    def tall(messages: int) -> float:
        return messages / highest * (_ROW - 14)

    yield f'<text x="10" y="{base - _ROW / 2:.0f}">{provider}</text>'
    yield f'<text x="{_LEFT - 8}" y="{top + 18}" text-anchor="end">{highest:,}</text>'
    yield f'<line class="axis" x1="{_LEFT}" y1="{base}" x2="{_WIDTH - 20}" y2="{base}"/>'
    for number, hour in enumerate(hours):
        x, taken, refused = _LEFT + number * wide, tall(hour.taken), tall(hour.refused)
        yield _bar("taken", x, base - taken, wide, taken)
        yield _bar("refused", x, base - taken - refused, wide, refused)
        middle = f'x="{x + wide / 2:.0f}" y="{base + 14}" text-anchor="middle"'
        yield f"<text {middle}>{number + 1}</text>"
    if limit:
        y = base - tall(limit)
        yield f'<line class="limit" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - 20}" y2="{y:.1f}"/>'


def _bar(kind: str, x: float, y: float, wide: float, tall: float) -> str:
    return (
        f'<rect class="{kind}" x="{x + 2:.1f}" y="{y:.1f}" width="{wide - 4:.1f}" '
        f'height="{tall:.1f}"/>'
    )
