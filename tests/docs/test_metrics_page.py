"""Every metric that the code declares stands in docs/reference/metrics.md, with its labels."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
assert _spec
assert _spec.loader
generate = importlib.util.module_from_spec(_spec)
sys.modules["docs_generate"] = generate
_spec.loader.exec_module(generate)


def test_the_page_is_what_the_code_declares() -> None:
    assert generate.PAGE.read_text() == generate.page(), "run ./run docs"


@pytest.mark.parametrize("process", list(generate.PROCESSES))
def test_every_process_declares_metrics_with_an_explanation(process: str) -> None:
    folder, _ = generate.PROCESSES[process]
    metrics = list(generate.declared(ROOT / folder))
    assert len(metrics) > 5
    assert [m.name for m in metrics if len(m.help) < 10] == []


def test_no_label_grows_with_the_mail() -> None:
    forbidden = re.compile(r"mailbox|recipient|message|address|queue_id")
    labels = {
        (metric.name, label)
        for folder, _ in generate.PROCESSES.values()
        for metric in generate.declared(ROOT / folder)
        for label in metric.labels
    }
    assert [found for found in labels if forbidden.search(found[1])] == []


def test_no_metric_name_is_used_for_two_things() -> None:
    seen: dict[str, object] = {}
    for folder, _ in generate.PROCESSES.values():
        for metric in set(generate.declared(ROOT / folder)):
            assert metric.name not in seen, f"{metric.name} is declared twice"
            seen[metric.name] = metric
