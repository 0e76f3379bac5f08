"""The picture of a simulation: it can be read by machines, and shows every day's figures."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from controller.simulation.plot import scale, svg
from controller.simulation.simulate import simulate
from tests.controller.simulation.foreseen import fleet, scenario

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_as_high_as_the_days_figures() -> None:
    receivers = [{"provider": "google", "busy_percent": 30.0}]
    found = simulate(fleet(12), scenario(mailboxes="new", receivers=receivers), 30)
    root = ET.fromstring(svg(found))
    bars = [each for each in root.iter(f"{SVG}rect") if float(each.get("y", "0")) > 60]
    heights = {kind: sum(float(b.get("height", "0")) for b in bars if b.get("class") == kind)
               for kind in ("internal", "warming", "active", "put-off", "refused")}  # fmt: skip
    totals = {
        "internal": sum(day.warm_up for day in found.days),
        "warming": sum(day.sent["warming"] + day.sent["internal"] for day in found.days),
        "active": sum(day.sent["active"] for day in found.days),
    }
    each = heights["internal"] / totals["internal"]
    assert each > 0
    for kind, total in totals.items():
        assert abs(heights[kind] - each * total) < 0.02 * len(found.days)
    assert heights["put-off"] > 0
    assert all(0 <= float(bar.get("x", "-1")) <= 960 for bar in bars)
    assert all(60 < float(bar.get("y", "0")) <= 456 for bar in bars)
    assert f"{found.delivered:,} delivered in 30 days" in "".join(root.itertext())


def test_days_without_anything_are_drawn_too() -> None:
    nothing = simulate(fleet(12), scenario(campaigns=[{"name": "n", "client": "*",
                       "recipients": 1, "starts": 9}], mailboxes="warm"), 1)  # fmt: skip
    ET.fromstring(svg(nothing))


@given(st.integers(0, 10**9), st.integers(2, 8))
def test_a_grid_has_round_figures_and_room_for_all(most: int, lines: int) -> None:
    step, highest = scale(most, lines)
    assert highest >= most
    assert highest % step == 0
    assert highest // step <= lines + 1
    assert str(step).rstrip("0") in ("1", "2", "5")
