"""The reference page of scenarios is what the schema says."""

from __future__ import annotations

from controller.simulation.reference import PAGE, page
from controller.simulation.scenario import Campaign, Event, Receiver, Scenario


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `./run docs`"


def test_every_field_is_on_it_with_its_meaning() -> None:
    text = page()
    for model in (Scenario, Campaign, Receiver, Event):
        for name, field in model.model_fields.items():
            assert field.description, name
            assert f"| `{name}` |" in text
