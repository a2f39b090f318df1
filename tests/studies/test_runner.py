"""kd study and kd reproduce: each experiment has a row in the table and its figures on the page."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from kaggle_digits.studies import coursera, denoise, embedding, linear_network, scikit
from kaggle_digits.studies import study as study_module
from kaggle_digits.studies.runner import STUDIES
from tests.support import small_runs

kd = CliRunner()
# The number of experiments of each of the five publications.
COUNTS = {"A": 11, "B": 5, "C": 5, "D": 4, "E": 3}
EXPERIMENTS = {f"{letter}{n}" for letter, count in COUNTS.items() for n in range(1, count + 1)}


@pytest.fixture(scope="module")
def studies_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``kd reproduce --quick`` writes, with 300 real digits and few epochs."""
    folder = tmp_path_factory.mktemp("studies")
    data, runs = small_runs.write_data(folder / "data"), folder / "runs"
    folders = ["--data-dir", str(data), "--runs-dir", str(runs)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_module, "QUICK_ROWS", 0)  # so only QUICK_EPOCHS are trained
        patch.setattr(study_module, "QUICK_EPOCHS", 2)
        patch.setattr(denoise, "QUICK_STEPS", 20)
        patch.setattr(denoise, "MIN_ROWS_PER_EPOCH", 0)
        patch.setattr(embedding, "QUICK_TSNE_ROWS", 60)
        patch.setattr(coursera, "QUICK_ITERATIONS", 5)
        patch.setattr(coursera, "ITERATION_LIMITS", (2, 4))
        patch.setattr(linear_network, "SEARCH_GRID", linear_network.SEARCH_GRID[:1])
        patch.setitem(scikit.SETTINGS, "max_iter", 20)
        result = kd.invoke(app, ["reproduce", "--quick", "--json", *folders])
    assert result.exit_code == 0, result.output
    studies = json.loads(result.stdout)["studies"]
    assert [one["study"] for one in studies] == list(STUDIES)
    assert all(Path(path).is_file() for one in studies for path in one["pictures"])
    return runs / "studies"


def test_every_published_experiment_has_a_row(studies_dir: Path) -> None:
    experiments = [name for study in STUDIES.values() for name in study.experiments]
    assert set(experiments) == EXPERIMENTS
    assert len(experiments) == len(EXPERIMENTS)
    with (studies_dir / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["experiment"] for row in rows} == EXPERIMENTS
    for row in rows:
        assert row["what"]
        assert row["published"]
        assert re.search(r"\d|figure", row["measured"])
        assert row["experiment"] in STUDIES[row["study"]].experiments
    (linear,) = (row for row in rows if row["what"] == "logistic regression")
    assert float(linear["measured"].split()[0]) > 60


def test_quick_results_name_the_epochs_that_were_trained(studies_dir: Path) -> None:
    table = (studies_dir / "table.csv").read_text(encoding="utf-8")
    assert "dense 128-128, 2 epochs" in table
    assert "10 epochs" not in table
    assert "hidden units after 1, 2 epochs" in table


def test_every_figure_is_saved_and_on_the_page(studies_dir: Path) -> None:
    all_studies = (studies_dir / "index.html").read_text(encoding="utf-8")
    for name, study in STUDIES.items():
        page = (studies_dir / name / "index.html").read_text(encoding="utf-8")
        files = sorted(studies_dir.glob(f"{name}/*.png"))
        assert files
        assert page.count("<img") == len(files)
        for text in (page, all_studies):
            assert study.title in html.unescape(text)
            assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
        anchors = set(re.findall(r'<h3 id="([a-z0-9-]+)"', page))
        assert anchors == {f"{name}-{file.stem}" for file in files}
        assert set(re.findall(r'<a href="#([a-z0-9-]+)"', page)) <= anchors
    with (studies_dir / "table.csv").open(newline="", encoding="utf-8") as table:
        for row in csv.DictReader(table):
            for names in re.findall(r"figures?: ([a-z0-9, -]+)", row["measured"]):
                for figure in names.split(", "):
                    assert (studies_dir / row["study"] / f"{figure}.png").is_file()
    assert all_studies.count("<img") == len(list(studies_dir.glob("*/*.png")))
    assert "quick run: fewer rows and epochs" in all_studies


def test_studies_are_listed() -> None:
    text = kd.invoke(app, ["study"]).stdout
    assert all(name in text for name in STUDIES)
    listed = json.loads(kd.invoke(app, ["study", "--json"]).stdout)
    assert [one["name"] for one in listed["studies"]] == list(STUDIES)


def test_unknown_study_is_reported_in_one_line() -> None:
    result = kd.invoke(app, ["study", "alchemy"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "one of: models, denoise" in result.stderr


def test_one_study_prints_its_table_and_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(scikit.SETTINGS, "max_iter", 20)
    data = small_runs.write_data(tmp_path / "data")
    folders = ["--data-dir", str(data), "--runs-dir", str(tmp_path)]
    monkeypatch.setenv("COLUMNS", "80")
    result = kd.invoke(app, ["study", "scikit", "--quick", *folders])
    assert result.exit_code == 0, result.output
    assert "0.9159" in result.stdout
    assert "reached" in result.stdout
    page = Path(result.stdout.rstrip().rsplit("page:", 1)[1].strip())
    assert "Sixteen" not in page.read_text(encoding="utf-8")[:500]
    assert page.parts[-3:] == ("studies", "scikit", "index.html")


def test_missing_data_is_reported_with_the_next_command(tmp_path: Path) -> None:
    result = kd.invoke(app, ["reproduce", "--data-dir", str(tmp_path)])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "kd fetch" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scikit", "--noise", "normal"], "study scikit has no option --noise"),
        (["neighbours", "--level", "0.5"], "study neighbours has no option --level"),
        (["denoise", "--noise", "hum"], "unknown noise 'hum'; one of: normal"),
    ],
)
def test_option_of_another_study_or_unknown_value_is_refused(
    words: list[str], message: str, tmp_path: Path
) -> None:
    data = small_runs.write_data(tmp_path / "data")
    folders = ["--data-dir", str(data), "--runs-dir", str(tmp_path)]
    result = kd.invoke(app, ["study", *words, *folders])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr
