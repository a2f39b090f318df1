"""A search: what it tries, when it gives up, what stands when it was stopped, killed or shared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import optuna
import pytest

from kaggle_digits.core.errors import RunError, StorageError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split, split
from kaggle_digits.metrics.calibration import apply_temperature, fit_temperature
from kaggle_digits.metrics.scores import score
from kaggle_digits.runs.store import list_runs
from kaggle_digits.training.fold import FoldTask, fit_fold, member_seed
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import find_recipe
from kaggle_digits.tuning import storage
from kaggle_digits.tuning.objective import Trial, TrialWatcher
from kaggle_digits.tuning.results import draw_importance, write_recipe
from kaggle_digits.tuning.search import Search, found_so_far, log_loss, search
from kaggle_digits.tuning.search_space import find_space
from tests.support.disks import SmallDisk, small_disk

__all__ = ["small_disk"]

SMALL = Recipe("mlp", widths=(8,), epochs=3, batch_size=16, learning_rate=1e-2)
RATES = find_space(SMALL, ["learning_rate=0.0001:0.1:log"])
HOW = Split("folds", folds=2, rows=200)
PASSWORD = "s3cret-%7Bword"

# A search in a process of its own: data folder, runs folder, trials; then it may stay in a trial.
PROCESS = """
import sys, time
from kaggle_digits.data.dataset import load
from kaggle_digits.tuning.objective import TrialWatcher
from kaggle_digits.tuning.search import search
from tests.tuning.test_search import HOW, RATES, SMALL

class Slow(TrialWatcher):
    def trial_started(self, number, values, folds):
        print(number, flush=True)
        time.sleep(float(sys.argv[4]) if number >= int(sys.argv[5]) else 0)

search(load(sys.argv[1]), SMALL, RATES, HOW, trials=int(sys.argv[3]), runs_dir=sys.argv[2],
       callback=Slow())
"""


def tried(found: Search) -> list[tuple[object, ...]]:
    """What trials were, but for their seconds."""
    return [(t.number, t.state, t.values, t.score) for t in found.trials]


def start(
    sample: Path, runs_dir: Path, trials: int, pause: float, since: int
) -> subprocess.Popen[str]:
    words = [str(sample), str(runs_dir), str(trials), str(pause), str(since)]
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, *words],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def found(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Search:
    """A search of twelve trials over a hopeless to a good learning rate."""
    runs_dir = tmp_path_factory.mktemp("found")
    return search(dataset, SMALL, RATES, HOW, trials=12, runs_dir=runs_dir)


def test_the_first_trial_is_the_recipe_and_the_best_has_the_lowest_loss(found: Search) -> None:
    assert [trial.number for trial in found.trials] == list(range(1, 13))
    assert found.base == 1
    assert found.trials[0].values == {"learning_rate": 1e-2}
    assert found.best is not None
    assert log_loss(found.best) == min(map(log_loss, found.trials)) < log_loss(found.trials[1])
    assert found.recipe == SMALL.with_changes(**found.best.values)
    assert found.importances == {"learning_rate": 1.0}
    assert found.done == 12


def test_a_trial_is_worth_what_training_its_recipe_is_worth(
    found: Search, dataset: Dataset
) -> None:
    assert found.recipe is not None
    assert found.best is not None
    held_out = np.full((len(dataset.train), 10), np.nan, np.float32)
    for number, part in enumerate(split(dataset.labels, HOW)):
        task = FoldTask(number, found.recipe, part, member_seed(HOW.seed, number))
        held_out[part.val] = fit_fold(task, dataset.train, dataset.test).val_probabilities
    plain = score(held_out, dataset.labels)
    tempered = score(
        apply_temperature(held_out, fit_temperature(held_out, dataset.labels)), dataset.labels
    )
    assert plain is not None
    assert tempered is not None
    known = found.best.score
    assert known is not None
    assert (known.n, known.accuracy, known.ci95) == (200, plain.accuracy, plain.ci95)
    assert known.log_loss == pytest.approx(tempered.log_loss, abs=1e-6)
    assert known.log_loss <= plain.log_loss


def test_hopeless_trials_are_given_up_early(found: Search) -> None:
    study = optuna.load_study(
        study_name=found.name, storage=f"sqlite:///{found.folder / storage.FILE}"
    )
    pruned = [trial for trial in study.trials if trial.state.name == "PRUNED"]
    whole = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert pruned
    assert len(whole) >= 5
    # Three epochs of the first fold, then one step for the second.
    assert all(list(trial.intermediate_values) == [1, 2, 3, 4] for trial in whole)
    # Not before two thirds of the first fold, and before the end.
    assert all(len(trial.intermediate_values) >= 2 for trial in pruned)
    assert any(len(trial.intermediate_values) <= 3 for trial in pruned)
    assert [trial.number + 1 for trial in pruned] == [
        trial.number for trial in found.trials if trial.state == "pruned"
    ]
    assert all(trial.score is None for trial in found.trials if trial.state == "pruned")


def test_a_search_that_goes_on_ends_as_one_in_one_go(dataset: Dataset, tmp_path: Path) -> None:
    whole = search(dataset, SMALL, RATES, HOW, trials=6, runs_dir=tmp_path, name="whole")
    first = search(dataset, SMALL, RATES, HOW, trials=4, runs_dir=tmp_path)
    assert first.done == 4
    again = search(dataset, SMALL, RATES, HOW, trials=6, runs_dir=tmp_path)
    assert tried(again) == tried(whole)
    none_left = search(dataset, SMALL, RATES, HOW, trials=6, runs_dir=tmp_path)
    assert tried(none_left) == tried(again) == tried(found_so_far(SMALL, RATES, runs_dir=tmp_path))
    assert not list_runs(tmp_path)
    other = Split("folds", folds=2, rows=200, seed=1)
    another = search(dataset, SMALL, RATES, other, trials=2, runs_dir=tmp_path, name="another")
    assert another.trials[1].values != whole.trials[1].values


def test_time_runs_out(dataset: Dataset, tmp_path: Path) -> None:
    found = search(dataset, SMALL, RATES, HOW, trials=3, minutes=0, runs_dir=tmp_path)
    assert not found.trials
    with pytest.raises(RunError, match="no trial of study mlp finished yet"):
        write_recipe(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": SMALL.with_changes(epochs=4)}, "another recipe"),
        ({"space": find_space(SMALL, ["batch_size"])}, "another --vary"),
        ({"how": Split("folds", folds=2, rows=201)}, "another split"),
        ({"how": Split("folds", folds=2, rows=200, seed=1)}, "another split"),
    ],
)
def test_trials_that_can_not_be_compared_are_kept_apart(
    change: dict[str, object], said: str, dataset: Dataset, tmp_path: Path
) -> None:
    asked: dict[str, object] = {"recipe": SMALL, "space": RATES, "how": HOW}
    search(dataset, **asked, trials=1, runs_dir=tmp_path, name="one")  # type: ignore[arg-type]
    with pytest.raises(RunError, match=f"study one stands already with {said}.*--name"):
        search(dataset, **(asked | change), trials=2, runs_dir=tmp_path, name="one")  # type: ignore[arg-type]


def test_other_data_and_other_programs_studies_are_refused(
    dataset: Dataset, tmp_path: Path
) -> None:
    search(dataset, SMALL, RATES, HOW, trials=1, runs_dir=tmp_path)
    other = Dataset(
        type(dataset.train)(dataset.train.images, dataset.labels, "another"),
        dataset.test,
        dataset.ids,
        dataset.source,
    )
    with pytest.raises(RunError, match=r"another train\.csv"):
        search(other, SMALL, RATES, HOW, trials=2, runs_dir=tmp_path)
    url = f"sqlite:///{tmp_path / 'own.db'}"
    own = optuna.create_study(storage=url, study_name="theirs")
    own.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(RunError, match="study theirs was not made by kd tune"):
        search(dataset, SMALL, RATES, HOW, trials=2, runs_dir=tmp_path, name="theirs", storage=url)


def test_a_trial_that_fails_is_not_the_end(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "picky_model.py").write_text(
        "from sklearn.neural_network import MLPClassifier\n"
        "def picky(widths=(8,)):\n"
        "    if widths == (13,):\n"
        "        raise ValueError('thirteen')\n"
        "    return MLPClassifier(widths)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    recipe = Recipe("picky_model:picky", epochs=2, batch_size=16)
    space = find_space(recipe, ["widths=8,13"])
    ended: list[Trial] = []

    class Told(TrialWatcher):
        def trial_finished(self, trial: Trial, best: Trial | None, done: int) -> None:
            ended.append(trial)
            assert done == len(ended)

    found = search(dataset, recipe, space, HOW, trials=8, runs_dir=tmp_path, callback=Told())
    assert tuple(ended) == found.trials
    assert found.name == "picky_model-picky"
    failed = [trial for trial in found.trials if trial.values == {"widths": "13"}]
    assert failed
    assert all(trial.state == "failed" and "thirteen" in trial.reason for trial in failed)
    assert all(trial.state != "failed" for trial in found.trials if trial not in failed)
    assert found.recipe == recipe.with_changes(widths=(8,))
    only = find_space(recipe, ["widths=13,13-13"])
    doomed = search(dataset, recipe, only, HOW, trials=1, runs_dir=tmp_path, name="doomed")
    if doomed.best is None:
        with pytest.raises(
            RunError, match="no trial of study doomed finished; the last one failed"
        ):
            write_recipe(doomed)


def test_what_a_killed_process_leaves_blocks_nothing(
    sample: Path, dataset: Dataset, tmp_path: Path
) -> None:
    process = start(sample, tmp_path, trials=5, pause=60, since=3)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(3)] == ["1\n", "2\n", "3\n"]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    left = found_so_far(SMALL, RATES, runs_dir=tmp_path)
    assert [trial.state for trial in left.trials] == ["finished", "finished", "running"]
    began = time.monotonic()
    found = search(dataset, SMALL, RATES, HOW, trials=5, runs_dir=tmp_path)
    assert time.monotonic() - began < 30, "the heartbeat of the dead was waited for"
    assert found.done == 5
    assert [trial.state for trial in found.trials].count("stopped") == 1
    assert found.trials[2].state == "stopped"
    assert not list(found.folder.glob(".worker-*"))


def test_the_recipe_as_it_was_is_tried_again_where_its_trial_was_killed(
    sample: Path, dataset: Dataset, tmp_path: Path
) -> None:
    process = start(sample, tmp_path, trials=3, pause=60, since=1)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    process.kill()
    process.communicate()
    found = search(dataset, SMALL, RATES, HOW, trials=2, runs_dir=tmp_path)
    assert [trial.state for trial in found.trials] == ["stopped", "finished", "finished"]
    assert found.base == 2
    assert found.trials[1].values == {"learning_rate": SMALL.learning_rate}


def test_a_study_whose_maker_was_killed_at_once_begins_with_the_recipe_too(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("kaggle_digits.tuning.search.begin_with", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            search(dataset, SMALL, RATES, HOW, trials=1, runs_dir=tmp_path)
    found = search(dataset, SMALL, RATES, HOW, trials=1, runs_dir=tmp_path)
    assert found.base == 1
    assert found.trials[0].values == {"learning_rate": SMALL.learning_rate}


def _interrupt(*words: object) -> None:
    raise KeyboardInterrupt


def test_a_full_disk_is_no_reason_to_delete_the_trials(
    small_disk: SmallDisk, dataset: Dataset
) -> None:
    disk = small_disk(2_000)

    class Fills(TrialWatcher):
        def trial_started(self, number: int, values: object, folds: int) -> None:
            if number == 2:
                with suppress(OSError):
                    (disk / "filler").write_bytes(b"0" * 3_000_000)

    with pytest.raises(StorageError, match=r"no space left .*study\.db; .* trials are kept"):
        search(dataset, SMALL, RATES, HOW, trials=3, runs_dir=disk, callback=Fills())
    (disk / "filler").unlink()
    assert search(dataset, SMALL, RATES, HOW, trials=3, runs_dir=disk).done >= 3


def test_the_living_are_not_taken_for_dead(tmp_path: Path) -> None:
    with storage.worker(tmp_path) as name:
        assert not storage.is_dead(name, tmp_path)
    assert not storage.is_dead("of-another-machine", tmp_path)


def test_two_processes_share_one_study(sample: Path, tmp_path: Path) -> None:
    both = [start(sample, tmp_path, trials=9, pause=0.3, since=0) for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], [end[1] for end in ends]
    found = found_so_far(SMALL, RATES, runs_dir=tmp_path)
    assert found.done == 9
    assert len({trial.values["learning_rate"] for trial in found.trials}) == len(found.trials)
    shares = [len(out.split()) for out, _ in ends]
    assert min(shares) >= 1, "one did all the work"
    assert sum(shares) == 9


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:1/digits",
        f"mysql://me:{PASSWORD}@127.0.0.1/digits",
        f"nonsense://me:{PASSWORD}@host/digits",
        f"me:{PASSWORD}@host",
        f"sqlite:////dev/null/no/{PASSWORD}.db",
    ],
)
def test_a_password_is_never_repeated(url: str, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--storage") as raised:
        search(dataset, SMALL, RATES, HOW, trials=1, runs_dir=tmp_path, storage=url)
    chain: BaseException | None = raised.value
    assert raised.value.__suppress_context__
    while chain is not None:
        assert "s3cret" not in str(chain)
        chain = chain.__cause__


def test_a_url_is_saved_nowhere(dataset: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere" / "s3cret.db"
    file.parent.mkdir()
    runs_dir = tmp_path / "runs"
    found = search(
        dataset, SMALL, RATES, HOW, trials=3, runs_dir=runs_dir, storage=f"sqlite:///{file}"
    )
    write_recipe(found)
    draw_importance(found, SMALL)
    assert file.is_file()
    left = [path for path in runs_dir.rglob("*") if path.is_file()]
    assert {path.name for path in left} == {".study.lock", "best.json", "importance.png"}
    assert all(b"s3cret" not in path.read_bytes() for path in [*left, file])


def test_without_optuna_it_says_what_to_install(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install 'kaggle-digits\[tune\]'"):
        search(dataset, SMALL, RATES, HOW, trials=1, runs_dir=tmp_path)


def test_the_recipe_file_says_how_far_to_trust_it(found: Search, tmp_path: Path) -> None:
    own = write_recipe(found)
    assert find_recipe(str(own)) == found.recipe
    note = json.loads(own.read_text())["note"]
    assert "best of 12 trials on these very rows" in note
    assert "another --seed" in note
    mine = tmp_path / "mine.json"
    assert write_recipe(found, mine) == mine
    assert write_recipe(found, mine) == mine
    assert list(tmp_path.iterdir()) == [mine]
    mine.write_text("my own")
    write_recipe(found, mine)
    assert (tmp_path / "mine-old-1.json").read_text() == "my own"
    assert find_recipe(str(mine)) == found.recipe


def test_a_database_that_breaks_meanwhile_is_said_in_one_line(
    dataset: Dataset, tmp_path: Path
) -> None:
    class Breaks(TrialWatcher):
        def trial_started(self, number: int, values: object, folds: int) -> None:
            file = tmp_path / "tuning" / "mlp" / storage.FILE
            file.write_bytes(b"no database" * 1000)

    with pytest.raises(RunError, match=r"study\.db cannot be read or written") as raised:
        search(dataset, SMALL, RATES, HOW, trials=2, runs_dir=tmp_path, callback=Breaks())
    assert "\n" not in str(raised.value)
