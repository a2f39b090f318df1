"""kd evaluate."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kaggle_digits.data.dataset import load
from tests.support import small_runs
from tests.support.commands import QUICK, assert_error, kd


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for a data folder and a runs folder with the run ``small``."""
    folder = tmp_path_factory.mktemp("evaluate")
    dataset = load(small_runs.write_data(folder / "data"))
    oof = small_runs.linear_oof(dataset)
    small_runs.write_run(folder / "runs", dataset, oof)
    leak = {"run": "teacher", "held_out_apart": False}
    small_runs.write_run(folder / "runs", dataset, oof, "pupil", pseudo=leak)
    return ["--data-dir", str(folder / "data"), "--runs-dir", str(folder / "runs")]


def test_prints_metrics_and_paths(folders: list[str]) -> None:
    done = kd("evaluate", "small", *folders)
    assert done.exit_code == 0, done.output
    for expected in ("small: accuracy", "300 held-out rows", "log loss", "most confused", "recall"):
        assert expected in done.stdout
    report = Path(done.stdout.rstrip().rsplit("report:", 1)[1].strip())
    assert report.is_file()
    assert "browser" in done.stderr


def test_json_is_the_only_output(folders: list[str]) -> None:
    done = kd("evaluate", "small", *folders, "--json", "--svg")
    found = json.loads(done.stdout)
    for picture in map(Path, found["figures"].values()):
        assert "<svg" in picture.with_suffix(".svg").read_text(encoding="utf-8")
    again = kd("evaluate", "small", *folders)
    assert again.exit_code == 0, again.output
    assert not list(picture.parent.glob("*.svg"))  # the SVGs of the earlier evaluation
    assert found["run"] == "small"
    assert found["leak"] is None
    assert found["n"] == sum(map(sum, found["confusion"])) == 300
    assert found["ci95"][0] < found["accuracy"] < found["ci95"][1]
    assert found["mistakes"][0]["line"] == found["mistakes"][0]["row"] + 2
    assert Path(found["report"]).is_file()
    assert done.stderr == ""


def test_leaked_accuracy_is_not_shown_as_out_of_fold(folders: list[str]) -> None:
    leak = "labels of its validation rows leaked through the pseudo-labels of run teacher"
    done = kd("evaluate", "pupil", *folders)
    assert f"no out-of-fold accuracy: {leak}" in done.stderr
    assert "pupil: leaked accuracy" in done.stdout
    found = json.loads(kd("evaluate", "pupil", *folders, "--json").stdout)
    assert found["accuracy"] is found["ci95"] is found["log_loss"] is None
    assert found["leaked_accuracy"] > 0.5
    assert found["leak"] == leak
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert '<p class="headline">no out-of-fold accuracy</p>' in page
    assert leak[1:] in page
    assert "With 95 % confidence" not in page
    labels = kd("labels", "pupil", *folders, "--json")
    assert json.loads(labels.stdout)["leak"] == leak


def test_unknown_run_is_one_line(folders: list[str]) -> None:
    done = kd("evaluate", "missing", *folders)
    assert done.exit_code == 1
    assert "no run called missing" in done.stderr
    assert "small" in done.stderr
    assert done.stderr.count("\n") == 1


def test_invalid_run_name(folders: list[str]) -> None:
    done = kd("evaluate", "../small", *folders)
    assert done.exit_code == 2


def test_tensorflow_is_not_imported(folders: list[str]) -> None:
    code = (
        "import sys; from kaggle_digits.cli.main import app; "
        f"app(['evaluate', 'small', *{folders!r}], standalone_mode=False); "
        "assert not {'tensorflow', 'keras', 'kaggle'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.usefixtures("work")
def test_tta_is_compared_and_the_best_is_recommended() -> None:
    kd("train", *QUICK, "--folds", "2", "--name", "one")
    result = kd("evaluate", "one", "--tta", "9")
    assert result.exit_code == 0, result.output
    assert "on 1,078 held-out rows" in result.stdout
    assert "(McNemar)" in result.stdout
    best = re.search(r"best on these 1,078 held-out rows: (\d) views?.*; (.*)\n", result.stdout)
    assert best
    assert (best[1] == "1") == (best[2] == "its submission has them")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kaggle_digits.evaluation.evaluate.best_tta", lambda scores: scores[1])
        advice = kd("evaluate", "one", "--tta", "5").stdout.partition("to use it: kd ")[2]
    command = advice.partition("\n")[0]
    assert "--tta 5" in command
    assert kd(*command.split()).exit_code == 0, command
    assert Path("one-tta5.csv").is_file()
    found = json.loads(kd("evaluate", "one", "--tta", "9", "--json").stdout)
    assert found["tta"] == 9
    assert found["best_tta"] == int(best[1])
    assert [item["views"] for item in found["views"]] == [1, 5, 9]
    assert found["views"][2]["accuracy"] == found["accuracy"]
    assert_error(kd("evaluate", "one", "--tta", "2"), 2, "--tta 2 is not offered")
    Path("runs/one/members/0/model.skops").write_bytes(b"")
    assert_error(kd("evaluate", "one", "--tta", "5"), 1, "model.skops cannot be read")
    # Without --tta no model is loaded.
    own = json.loads(kd("evaluate", "one", "--json").stdout)
    assert own["accuracy"] == found["views"][0]["accuracy"]
    assert "views" not in own
    kd("train", *QUICK, "--all-rows", "--name", "all")
    assert_error(kd("evaluate", "all", "--tta", "5"), 1, "no held-out rows")
