"""Every campaign in bad/ is refused with exactly the words in its .expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.campaigns.load import CampaignError, load
from controller.campaigns.prepare import Prepared, prepared

_HERE = Path(__file__).parent
_BAD = sorted((_HERE / "bad").glob("*.yaml"))


@pytest.mark.parametrize("file", _BAD, ids=lambda file: file.stem)
def test_a_bad_campaign_is_refused_in_these_words(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    with pytest.raises(CampaignError) as refused:
        load(Path(file.name))
    assert f"{refused.value}\n" == file.with_suffix(".expected").read_text()


def test_every_expectation_has_its_campaign() -> None:
    assert len(_BAD) > 30
    assert {file.stem for file in _BAD} == {f.stem for f in (_HERE / "bad").glob("*.expected")}


def test_the_campaign_the_bad_ones_were_made_from_is_good() -> None:
    loaded = load(_HERE / "good.yaml")
    assert loaded.delays_days == (3, 7)
    rosa, emil = prepared(loaded)
    assert isinstance(rosa, Prepared)
    assert isinstance(emil, Prepared)
    assert (rosa.zone, emil.zone) == ("America/New_York", "")
    first, reminder, last = (content.decode() for content in rosa.contents)
    assert "<b>Quay &amp; Co</b>" in first
    assert "Subject: Re: A question about Quay & Co\r\n" in reminder
    assert "Subject: Farewell\r\n" in last


def test_the_example_of_the_manual_is_good(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "campaigns.md").read_text()
    blocks = [part.split("```")[0] for part in page.split("```yaml\n")[1:]]
    (tmp_path / "november.yaml").write_text(blocks[0])
    (tmp_path / "people.csv").write_text(page.split("```csv\n")[1].split("```")[0])
    (tmp_path / "november.html").write_text("<p>{{ first_name }}</p>")
    (tmp_path / "last-word.txt").write_text("Bye {{ first_name }}")
    made = list(prepared(load(tmp_path / "november.yaml")))
    assert [isinstance(each, Prepared) and len(each.contents) for each in made] == [3, 3]


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(CampaignError, match=r"nowhere\.yaml: cannot read the campaign: No such"):
        load(Path("nowhere.yaml"))
