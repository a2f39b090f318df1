"""Options that name an output: existing files and the toolkit's own names are refused."""

import shutil
from pathlib import Path

import pytest

from kaggle_digits.data.dataset import load
from kaggle_digits.data.splits import Split
from kaggle_digits.runs.run import Run
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import train
from tests.support.commands import kd

SEARCH = (
    *("tune", "--model", "linear", "--vary", "l2=0.1:1", "--trials", "1"),
    *("--folds", "2", "--rows", "60"),
)
# Arguments of a command, the file or folder that it writes, and the files beside that.
OUTPUTS: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (("predict", "one", "-o"), "out.csv", ("out.json",)),
    (("ensemble", "one", "two", "-o"), "out.csv", ("out.json",)),
    (("compare", "one", "two", "--svg", "-o"), "out.png", ("out.svg",)),
    (("remote", "push", "linear", "-o"), "out.py", ()),
    ((*SEARCH, "-o"), "out.json", ()),
    (("train", "--model", "linear", "--rows", "300", "--name"), "out", ("out.csv", "out.json")),
)
RESERVED_PATHS = (
    "LOG.csv",
    "tuning",
    "Aux.csv",
    "runs/one/metrics.json",
    "runs/one/members/0/test.npy",
)


@pytest.fixture(scope="module")
def runs(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "runs"
    for name, normalize in (("one", "unit"), ("two", "l2")):
        split, recipe = Split(rows=60, val_fraction=0.5), Recipe("linear", normalize=normalize)
        train(load(sample), recipe, split, runs_dir=folder, name=name)
    return folder


@pytest.fixture
def folder(work: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KD_SUBMISSIONS_DIR", ".")
    shutil.copytree(runs, work / "runs")
    return work


def contents(folder: Path) -> dict[str, bytes]:
    """Return the visible files in ``folder`` and its subfolders."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    shown = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    return {str(path): (folder / path).read_bytes() for path in shown}


@pytest.mark.parametrize(("words", "output", "beside"), OUTPUTS)
def test_existing_files_are_replaced_only_with_force(
    words: tuple[str, ...], output: str, beside: tuple[str, ...], folder: Path
) -> None:
    for name in [n for n in (output, *beside) if "." in n]:
        (folder / name).write_text("mine")
        before = contents(folder)
        done = kd(*words, output)
        assert done.exit_code in (1, 2), done.output
        assert f"{name} already exists" in done.stderr
        assert contents(folder) == before
        done = kd(*words, output, "--force")
        assert done.exit_code == 0, done.output
        kept = [path for path, text in contents(folder).items() if text == b"mine"]
        assert len(kept) == 1
        assert "-old-1." in kept[0]
        for path in folder.iterdir():
            if path.name != "runs":
                path.unlink()
        shutil.rmtree(folder / "runs" / "out", ignore_errors=True)


def test_an_exported_folder_is_replaced_only_with_force(trained_run: Run, work: Path) -> None:
    words = ("export", "dense", "-o", "out", "--runs-dir", str(trained_run.path.parent))
    (work / "out").mkdir()
    (work / "out" / "own.txt").write_text("mine")
    done = kd(*words)
    assert (done.exit_code, "out already exists" in done.stderr) == (2, True)
    assert kd(*words, "--force").exit_code == 0
    assert (work / "out-old-1" / "own.txt").read_text() == "mine"


@pytest.mark.parametrize("path", RESERVED_PATHS)
@pytest.mark.parametrize(
    "words", [words for words, _, _ in OUTPUTS[:-1]] + [("export", "one", "-o")], ids="-".join
)
def test_reserved_paths_are_refused(words: tuple[str, ...], path: str, folder: Path) -> None:
    if path == "runs/one/metrics.json":  # it would mark an unfinished run as finished
        Path(path).unlink()
    before = contents(folder)
    done = kd(*words, path, "--force")
    assert done.exit_code in (1, 2), done.output
    assert contents(folder) == before
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize("name", ["log", "LOG", "tuning", "Studies", "con", "Lpt1"])
@pytest.mark.parametrize(
    "words",
    [OUTPUTS[-1][0], (*SEARCH, "--name"), ("remote", "push", "linear", "--dry-run", "--name")],
    ids=lambda words: words[0],
)
def test_reserved_names_are_refused(words: tuple[str, ...], name: str, folder: Path) -> None:
    Path("log.csv").write_text("sent")
    Path("runs/tuning/study").mkdir(parents=True)
    Path("runs/tuning/study/journal.log").write_text("trials")
    before = contents(folder)
    for force in ([], ["--force"]):
        done = kd(*words, name, *force)
        assert done.exit_code == 2, done.output
        assert "choose another" in done.stderr
    assert contents(folder) == before


def test_a_run_of_an_earlier_version_may_have_a_reserved_name(folder: Path) -> None:
    Path("runs/one").rename("runs/log")
    assert kd("runs", "log").exit_code == 0
    done = kd("predict", "log")
    assert (done.exit_code, Path("log.csv").exists()) == (2, False)
    assert "log.csv: kd itself uses the name" in done.stderr
    assert kd("predict", "log", "-o", "again.csv").exit_code == 0


def test_the_record_of_a_submission_has_another_name(folder: Path) -> None:
    done = kd("predict", "one", "-o", "out.json")
    assert (done.exit_code, contents(folder).keys() & {"out.json"}) == (2, set())
    assert "out.json: a submission is a CSV file" in done.stderr


def test_commands_quote_a_name_with_a_space(folder: Path) -> None:
    assert "kd train 'my own.json'\n" in kd("recipes", "dense", "-o", "my own.json").stderr


def test_an_edited_table_of_label_errors_is_kept(trained_run: Run, work: Path) -> None:
    shutil.copytree(trained_run.path, work / "runs" / "dense")
    table = Path("runs/dense/label-errors.csv")
    for _ in range(2):
        assert kd("labels", "dense").exit_code == 0
    assert not list(table.parent.glob("label-errors-old*"))
    table.write_text("mine")
    assert kd("labels", "dense").exit_code == 0
    assert table.with_stem("label-errors-old-1").read_text() == "mine"


def test_the_figure_of_a_recipe_file_stays_in_the_figures_folder(work: Path, sample: Path) -> None:
    shutil.copytree(sample, work / "data")
    recipe = work / "recipes" / "mine.json"
    recipe.parent.mkdir()
    recipe.write_text('{"model": "cnn", "augment": {"rotation": 5}}')
    assert kd("inspect", "--recipe", "recipes/mine.json", "--data-dir", "data").exit_code == 0
    assert (work / "data/figures/augmentation-mine.png").is_file()
