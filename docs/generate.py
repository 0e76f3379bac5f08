"""Writes docs/reference/metrics.md from the declarations in the code; `./run docs` calls it.

Reads the source as text (a metric is a call of Counter, Gauge, Histogram or …MetricFamily with a
literal name), so that what a node exports is listed without starting a node. The reference pages of
the command line and of the inventory are written by their own packages.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "metrics.md"
PROCESSES = {
    "controller": ("controller", "controller, port 9600"),
    "agent": ("node_agent/agent", "agent, port 9601 of each node"),
    "gateway": ("node_agent/gateway", "gateway, port 9602 of each node"),
}
TYPES = {
    "Counter": "counter",
    "Gauge": "gauge",
    "Histogram": "histogram",
    "CounterMetricFamily": "counter",
    "GaugeMetricFamily": "gauge",
    "HistogramMetricFamily": "histogram",
}


@dataclass(frozen=True, order=True)
class Metric:
    """One declaration: the name as it is exported, its type, its labels, its help."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


def declared(folder: Path) -> Iterator[Metric]:
    """All metrics that the modules below `folder` declare."""
    for path in sorted(folder.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name | ast.Attribute):
                metric = _metric(call)
                if metric is not None:
                    yield metric


def _metric(call: ast.Call) -> Metric | None:
    called = call.func.id if isinstance(call.func, ast.Name) else ast.unparse(call.func)
    kind = TYPES.get(called.rpartition(".")[2])
    literals = [_literal(argument) for argument in call.args]
    if kind is None or not literals or not str(literals[0]).startswith("postfleet_"):
        return None
    keywords = {word.arg: _literal(word.value) for word in call.keywords}
    labels = (
        keywords.get("labels")
        or keywords.get("labelnames")
        or next((value for value in literals[2:] if isinstance(value, list | tuple)), ())
    )
    name = str(literals[0])
    if kind == "counter" and not name.endswith("_total"):
        name += "_total"
    return Metric(name, kind, tuple(map(str, labels)), str(literals[1]))


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def page() -> str:
    """The whole page as Markdown."""
    lines = [
        "# Metrics",
        "",
        "Written by `./run docs` from the declarations in the code. Labels are bounded: never a",
        "mailbox, a recipient or a message. The controller serves the list of all targets for",
        "Prometheus' `http_sd_config` at `/http_sd` beside its own metrics.",
    ]
    for folder, title in PROCESSES.values():
        lines += ["", f"## {title[0].upper()}{title[1:]}", ""]
        lines += ["| metric | type | labels | what it says |", "|---|---|---|---|"]
        for metric in sorted(set(declared(ROOT / folder))):
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            text = metric.help.replace("|", "\\|").replace("\n", " ")
            lines.append(f"| `{metric.name}` | {metric.type} | {labels} | {text} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
