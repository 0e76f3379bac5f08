"""The manual page of the inventory is what the schema says."""

from __future__ import annotations

from inventory.reference_docs import PAGE, models, page
from inventory.shape import describe, models_in


def test_the_committed_page_is_what_the_schema_says() -> None:
    assert PAGE.read_text() == page(), "run `python -m inventory.reference_docs`"


def test_every_field_says_what_it_means_and_what_it_takes() -> None:
    for path, model in models():
        for name, field in model.model_fields.items():
            assert field.description, f"{path}.{name}"
            assert list(models_in(field.annotation)) or describe(field), f"{path}.{name}"
