"""Published experiments repeated: each has its row, its picture, a page that needs no network."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from kaggle_digits.metrics.scores import Score, wilson_interval
from kaggle_digits.studies.denoise import add_noise
from kaggle_digits.studies.runner import STUDIES
from kaggle_digits.studies.study import accuracy_result
from tests.support import small_runs

kd = CliRunner()
# As many as the five write-ups hold.
MOST = {"A": 11, "B": 5, "C": 5, "D": 4, "E": 3}
LISTED = {f"{letter}{n}" for letter, most in MOST.items() for n in range(1, most + 1)}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The studies folder that ``kd reproduce --quick`` leaves, on 300 real digits."""
    folder = tmp_path_factory.mktemp("studies")
    data, runs = small_runs.write_data(folder / "data"), folder / "runs"
    places = ["--data-dir", str(data), "--runs-dir", str(runs)]
    found = kd.invoke(app, ["reproduce", "--quick", "--json", *places])
    assert found.exit_code == 0, found.output
    assert [one["study"] for one in json.loads(found.stdout)["studies"]] == list(STUDIES)
    return runs / "studies"


def test_every_published_experiment_has_a_study_and_a_measured_row(done: Path) -> None:
    named = [experiment for study in STUDIES.values() for experiment in study.experiments]
    assert set(named) == LISTED
    assert len(named) == len(LISTED)
    with (done / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["experiment"] for row in rows} == LISTED
    for row in rows:
        assert row["what"]
        assert row["published"]
        assert re.search(r"\d|figure", row["measured"])
        assert row["experiment"] in STUDIES[row["study"]].experiments
    (linear,) = (row for row in rows if row["what"] == "logistic regression")
    assert float(linear["measured"].split()[0]) > 60


def test_every_picture_stands_beside_its_page(done: Path) -> None:
    whole = (done / "index.html").read_text(encoding="utf-8")
    for name, study in STUDIES.items():
        page = (done / name / "index.html").read_text(encoding="utf-8")
        pictures = sorted(done.glob(f"{name}/*.png"))
        assert pictures
        assert page.count("<img") == len(pictures)
        for text in (page, whole):
            assert study.title in html.unescape(text)
            assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
        named = set(re.findall(r"figures?: ([a-z0-9, -]+)", page))
        for picture in {one.strip() for words in named for one in words.split(",")}:
            assert (done / name / f"{picture}.png").is_file()
    assert whole.count("<img") == len(list(done.glob("*/*.png")))
    assert "Quick: fewer rows and epochs" in whole


def test_the_studies_are_listed_and_an_unknown_one_is_one_line() -> None:
    listed = kd.invoke(app, ["study"])
    assert all(name in listed.stdout for name in STUDIES)
    found = json.loads(kd.invoke(app, ["study", "--json"]).stdout)
    assert [one["name"] for one in found["studies"]] == list(STUDIES)
    unknown = kd.invoke(app, ["study", "alchemy"])
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (2, 1)
    assert "one of: models, denoise" in unknown.stderr


def test_one_study_prints_its_table_and_where_the_page_is(tmp_path: Path) -> None:
    data = small_runs.write_data(tmp_path / "data")
    found = kd.invoke(
        app,
        ["study", "scikit", "--quick", "--data-dir", str(data), "--runs-dir", str(tmp_path)],
    )
    assert found.exit_code == 0, found.output
    assert "0.9159" in found.stdout
    page = Path(found.stdout.rstrip().rsplit("page:", 1)[1].strip())
    assert "Sixteen" not in page.read_text(encoding="utf-8")[:500]
    assert page.parts[-3:] == ("studies", "scikit", "index.html")


def test_without_data_one_line_says_what_to_type(tmp_path: Path) -> None:
    found = kd.invoke(app, ["reproduce", "--data-dir", str(tmp_path)])
    assert (found.exit_code, found.stderr.count("\n")) == (1, 1)
    assert "kd fetch" in found.stderr


@pytest.mark.parametrize(
    ("right", "reached", "word"),
    [
        (990, True, "higher than"),
        (975, True, "within the 95 %"),
        (930, False, "lower than"),
    ],
)
def test_a_share_is_reached_within_what_chance_allows(right: int, reached: bool, word: str) -> None:
    ours = Score(right / 1000, wilson_interval(right, 1000), 0.1, 1000)
    found = accuracy_result("A2", "x", ours, published=0.975, note="because")
    assert found.reached is reached
    assert word in found.note
    assert "because" in found.note
    assert found.published == "97.50 %"
    assert accuracy_result("A2", "x", ours).reached is None


def test_noise_is_the_same_for_a_seed_and_stays_within_ink() -> None:
    images = small_runs.digits(50)[0]
    noisy = add_noise(images, 0.5, 1)
    assert noisy.dtype == np.uint8
    assert np.array_equal(noisy, add_noise(images, 0.5, 1))
    assert not np.array_equal(noisy, add_noise(images, 0.5, 2))
    assert np.array_equal(add_noise(images, 0.0, 1), images)
    grey = np.full((200, 28, 28), 128, np.uint8)
    assert add_noise(grey, 0.1, 1).std() == pytest.approx(25.5, rel=0.02)
    even = add_noise(grey, 0.1, 1, "uniform").astype(int) - 128
    assert (even.min(), even.max()) == (-25, 25)
    hit = add_noise(grey, 0.2, 1, "salt-and-pepper")
    assert set(np.unique(hit)) == {0, 128, 255}
    assert (hit != 128).mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scikit", "--noise", "normal"], "study scikit has no option --noise"),
        (["neighbours", "--level", "0.5"], "study neighbours has no option --level"),
        (["denoise", "--noise", "hum"], "unknown noise 'hum'; one of: normal"),
    ],
)
def test_an_option_that_a_study_does_not_heed_is_refused(
    words: list[str], said: str, tmp_path: Path
) -> None:
    data = small_runs.write_data(tmp_path / "data")
    found = kd.invoke(app, ["study", *words, "--data-dir", str(data), "--runs-dir", str(tmp_path)])
    assert (found.exit_code, found.stderr.count("\n")) == (2, 1)
    assert said in found.stderr
