"""A simulation as a picture: SVG 1.1, light and dark as the reader's screen is.

Above, what went on each day, by stage; below, what receivers said no to, and where something was
paused. Pure: text from figures. Colours are told apart by people who see red and green alike
(Okabe and Ito, Color Universal Design).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

from controller.simulation.series import DayLine, Foresight

WIDTH, HEIGHT = 960, 500
_LEFT, _RIGHT = 72, 936
_TOP, _MIDDLE = 92, 332
_LOWER_TOP, _BOTTOM = 380, 456
_STYLE = """
svg { background: #fff; color: #222; font: 13px system-ui, sans-serif; }
text { fill: currentColor; } .title { font-size: 17px; font-weight: 600; }
.small { font-size: 12px; opacity: .75; } .grid { stroke: currentColor; opacity: .15; }
.axis { stroke: currentColor; opacity: .6; }
.internal { fill: #56b4e9; } .warming { fill: #e69f00; } .active { fill: #0072b2; }
.put-off { fill: #cc79a7; } .refused { fill: #d55e00; } .pause { fill: currentColor; }
@media (prefers-color-scheme: dark) {
  svg { background: #16181d; color: #e6e6e6; } .active { fill: #4fa8dd; }
}
"""
Part = tuple[str, str, Callable[[DayLine], int]]
_SENT: Sequence[Part] = (
    ("internal", "warm-up mail", lambda day: day.warm_up),
    ("warming", "from warming mailboxes", lambda day: day.sent["warming"] + day.sent["internal"]),
    ("active", "from warm ones", lambda day: day.sent["active"]),
)
_SAID_NO: Sequence[Part] = (
    ("put-off", "put off", lambda day: day.put_off),
    ("refused", "refused", lambda day: day.refused + day.unknown),
)


def svg(found: Foresight) -> str:
    """The whole file."""
    days = found.days
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            f' width="{WIDTH}" height="{HEIGHT}">',
            f"<title>{escape(_title(found))}</title>",
            f"<style>{_STYLE}</style>",
            f'<text class="title" x="{_LEFT}" y="30">{escape(_title(found))}</text>',
            *_legend((*_SENT, *_SAID_NO), any(day.pauses for day in days)),
            *_panel(days, _SENT, _TOP, _MIDDLE, "messages a day"),
            *_panel(days, _SAID_NO, _LOWER_TOP, _BOTTOM, "said no"),
            *_pauses(days),
            *_dates(days),
            "</svg>",
            "",
        )
    )


def _title(found: Foresight) -> str:
    return (
        f"{found.scenario}: {found.delivered:,} delivered in {len(found.days)} days, "
        f"{found.mailboxes:,} mailboxes, {len(found.pauses):,} pauses, "
        f"{found.cap_violations:,} caps passed"
    )


def _legend(parts: Sequence[Part], has_pauses: bool) -> Iterator[str]:
    x = _LEFT
    names = [(kind, words) for kind, words, _ in parts]
    for kind, words in [*names, *([("pause", "something was paused")] if has_pauses else [])]:
        yield f'<rect class="{kind}" x="{x}" y="46" width="12" height="12" rx="2"/>'
        yield f'<text class="small" x="{x + 18}" y="57">{escape(words)}</text>'
        x += 40 + 7 * len(words)


def _panel(
    days: Sequence[DayLine], parts: Sequence[Part], top: int, bottom: int, label: str
) -> Iterator[str]:
    """Stacked bars, a grid with figures, and what the axis counts."""
    most = max((sum(of(day) for _, _, of in parts) for day in days), default=0)
    step, highest = scale(most, 5 if bottom - top > 150 else 2)
    for value in range(0, highest + 1, step):
        y = bottom - (bottom - top) * value / highest
        yield f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        left = _LEFT - 8
        yield f'<text class="small" x="{left}" y="{y + 4:.1f}" text-anchor="end">{value:,}</text>'
    yield f'<text class="small" x="{_LEFT}" y="{top - 10}">{label}</text>'
    width = (_RIGHT - _LEFT) / max(1, len(days))
    for number, day in enumerate(days):
        x, y = _LEFT + number * width, float(bottom)
        for kind, _, of in parts:
            height = (bottom - top) * of(day) / highest
            if height:
                y -= height
                yield (
                    f'<rect class="{kind}" x="{x + width * 0.1:.2f}" y="{y:.2f}"'
                    f' width="{width * 0.8:.2f}" height="{height:.2f}"/>'
                )
    yield f'<line class="axis" x1="{_LEFT}" x2="{_RIGHT}" y1="{bottom}" y2="{bottom}"/>'


def _pauses(days: Sequence[DayLine]) -> Iterator[str]:
    width = (_RIGHT - _LEFT) / max(1, len(days))
    for number, day in enumerate(days):
        if day.pauses:
            x = _LEFT + (number + 0.5) * width
            yield (
                f'<circle class="pause" cx="{x:.1f}" cy="{_MIDDLE + 12}" r="3">'
                f"<title>{day.date}: {day.pauses} pauses began</title></circle>"
            )


def _dates(days: Sequence[DayLine]) -> Iterator[str]:
    """So many that none covers another."""
    width = (_RIGHT - _LEFT) / max(1, len(days))
    every = max(1, round(80 / width))
    for number in range(0, len(days), every):
        day = days[number]
        x = _LEFT + (number + 0.5) * width
        yield (
            f'<text class="small" x="{x:.1f}" y="{_BOTTOM + 20}" text-anchor="middle">'
            f"{day.date:%d %b}</text>"
        )
        yield (
            f'<text class="small" x="{x:.1f}" y="{_BOTTOM + 36}" text-anchor="middle">'
            f"day {day.number}</text>"
        )


def scale(most: int, lines: int) -> tuple[int, int]:
    """(distance of grid lines, the highest one): round, about so many lines, and `most` fits."""
    wanted = max(1, most) / lines
    power = 1
    while power * 10 <= wanted:
        power *= 10
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= wanted)
    return step, max(step, -(-most // step) * step)
