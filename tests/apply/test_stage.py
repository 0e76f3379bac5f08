"""A staged generation is whole, and looks it."""

from __future__ import annotations

import time
from pathlib import Path

from node_agent.apply.layout import Layout
from node_agent.apply.read_spec import read_spec
from node_agent.apply.render import render
from node_agent.apply.stage import holds, stage
from tests.apply.specs import good_spec


def test_no_program_of_postfix_takes_a_staged_file_for_one_that_is_being_written(
    tmp_path: Path,
) -> None:
    """Each would wait one and a half seconds, at every apply (dict_load_file_xp)."""
    layout = Layout(tmp_path)
    # The other groups are a node's.
    everything = render(read_spec(good_spec()), b"spec", layout)
    rendered = {path: file for path, file in everything.items() if file.group == "root"}
    assert "postfix/main.cf" in rendered
    directory = stage(rendered, 7, layout)
    assert {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()} == {
        str(path) for path in rendered
    }
    assert holds(directory, rendered) is False  # the maps are not compiled yet
    assert all((directory / path).stat().st_mtime < time.time() - 5 for path in rendered)
