"""A real cluster of two nodes on this machine: the same bits, and no member lost with a node."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.ray_nodes import Nodes, ray_nodes
from benchmarks.watching import Disasters, Kills, kill_a_worker
from kaggle_digits.cli.main import app
from kaggle_digits.core.environment import versions
from kaggle_digits.core.errors import DigitsError, RunError, UsageError
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.splits import Split
from kaggle_digits.executors import ray, ray_connect
from kaggle_digits.executors.local import LocalExecutor
from kaggle_digits.executors.ray import RayExecutor
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import resume, train

pytest.importorskip("ray", reason="needs the extra: pip install 'kaggle-digits[ray]'")

# Without TensorFlow, whose start alone would take most of the time.
MLP = Recipe("mlp", widths=(64,), epochs=6, batch_size=50)
SIX = Split("folds", folds=6)


@pytest.fixture(scope="module")
def dataset(sample: Path) -> Dataset:
    return load(sample)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with ray_nodes(2) as cluster:
        yield cluster


def test_a_member_that_fails_three_times_is_named_then_resumed_here(
    nodes: Nodes, dataset: Dataset, tmp_path: Path
) -> None:
    callback = Kills(1, 3, kill_a_worker)
    executor, two = RayExecutor(nodes.address, workers=1), Split("folds", folds=2)
    run = train(
        dataset, MLP, two, runs_dir=tmp_path, name="r", executor=executor, callback=callback
    )
    (failed,) = run.metrics()["failed"]
    assert (failed["member"], failed["tries"]) == (1, 3)
    assert failed["reason"] == "its process died"
    assert np.isnan(run.oof()).any()
    mended = resume(dataset, runs_dir=tmp_path, name="r", executor=LocalExecutor())
    here = LocalExecutor(workers=2, threads=1)
    alone = train(dataset, MLP, two, runs_dir=tmp_path, executor=here)
    assert np.array_equal(mended.oof(), alone.oof())


def test_six_members_outlive_a_worker_and_a_node(
    nodes: Nodes, dataset: Dataset, tmp_path: Path
) -> None:
    here = LocalExecutor(workers=2, threads=1)
    alone = train(dataset, MLP, SIX, runs_dir=tmp_path, name="here", executor=here)

    callback = Disasters(nodes)
    cluster = RayExecutor(nodes.address)
    run = train(
        dataset, MLP, SIX, runs_dir=tmp_path, name="there", executor=cluster, callback=callback
    )
    assert np.array_equal(run.oof(), alone.oof())
    assert np.array_equal(run.test(), alone.test())
    assert callback.count("finished") == dict.fromkeys(range(6), 1)
    assert not callback.started_after_the_end
    assert [note for note in callback.notes if "its process died" in note]
    assert sum(callback.count("started").values()) > 6  # a killed member began anew
    assert run.config()["trained_by"]["executor"] == "ray"


def test_the_clients_door_gives_the_same(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command, as a user types it."""
    # A process is started for who comes by it: on a busy machine 20 seconds are not enough.
    monkeypatch.setattr(ray_connect, "SECONDS_TO_CONNECT", 50)
    folders = ["--runs-dir", str(tmp_path / "r"), "--submissions-dir", str(tmp_path / "s")]
    command = ["train", "--model", "mlp", "--epochs", "1", "--rows", "300", "--name", "door"]
    address = f"ray://127.0.0.1:{nodes.door}"
    data = tmp_path / "data"
    CliRunner().invoke(app, ["fetch", "--source", "sample", "--data-dir", str(data)])
    for _ in range(3):
        result = CliRunner().invoke(
            app, [*command, "--address", address, "--data-dir", str(data), *folders]
        )
        # Ray's door now and then hangs where it forks; who comes again is served.
        if "run it again, or give the address" not in result.stderr:
            break
    assert result.exit_code == 0, result.stderr
    assert "member 1/1: 1 epoch, loss" in result.stderr
    here = CliRunner().invoke(
        app,
        [*command[:-1], "here", "--threads", "1", "--data-dir", str(data), *folders],
    )
    assert here.exit_code == 0, here.stderr
    one, other = (np.load(tmp_path / "r" / name / "test.npy") for name in ("door", "here"))
    assert np.array_equal(one, other)


def test_no_room_is_said_at_once(nodes: Nodes, dataset: Dataset, tmp_path: Path) -> None:
    for executor in (RayExecutor(nodes.address, threads=8), RayExecutor(nodes.address, gpus=1)):
        started = time.monotonic()
        with pytest.raises(RunError, match=r"no node of the Ray cluster .* has .* cores"):
            train(dataset, MLP, SIX, runs_dir=tmp_path, executor=executor)
        assert time.monotonic() - started < 30
    assert not list(tmp_path.glob("*/config.json"))


def test_another_version_on_a_node_is_named(
    nodes: Nodes, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {**versions(), "keras": "2.0"}
    monkeypatch.setattr(ray, "versions", lambda: there)
    with pytest.raises(DigitsError, match=r"node \S+ has keras .*, this machine 2.0"):
        train(dataset, MLP, SIX, runs_dir=tmp_path, executor=RayExecutor(nodes.address))


def test_where_nobody_listens_it_is_said_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_connect, "SECONDS_TO_CONNECT", 3)
    with pytest.raises(RunError, match=r"no Ray cluster answers at 127.0.0.1:1 within 3 s"):
        ray_connect.connect("127.0.0.1:1")


# What Ray 2.60 printed, word for word.
MISMATCH = """RuntimeError: Version mismatch: The cluster was started with:
    Ray: 2.60.0
    Python: 3.11.7
This process on node 192.0.2.2 was started with:
    Ray: 2.50.0
    Python: 3.11.7
"""
TOKEN = (
    "gcs_client.cc:210: Failed to get cluster ID from GCS server: Unauthenticated: RPC error: "
    "InvalidAuthToken: Authentication token is missing or incorrect"
)


@pytest.mark.parametrize(
    ("address", "words", "said"),
    [
        ("10.0.0.1:6379", MISMATCH, "started with: Ray: 2.60.0 Python: 3.11.7 This process"),
        ("10.0.0.1:6379", TOKEN, "wants a token"),
        ("auto", "ConnectionError: Could not find any running Ray instance", "ray start --head"),
        ("10.0.0.1:6379", "", "no Ray cluster answers at 10.0.0.1:6379"),
    ],
)
def test_what_ray_says_becomes_one_line(address: str, words: str, said: str) -> None:
    explained = ray_connect._explain(address, words)
    assert said in explained
    assert "\n" not in explained


def test_a_token_at_hand_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "x")  # so that it is put back
    monkeypatch.delenv("RAY_AUTH_MODE")
    ray_connect._prepare_environment()
    assert "RAY_AUTH_MODE" not in os.environ
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text("secret")
    ray_connect._prepare_environment()
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'kaggle-digits\[ray\]'"):
        ray_connect.connect("auto")


@pytest.mark.parametrize("options", [["--address", "a:1", "--executor", "local"], ["--gpus", "1"]])
def test_options_of_a_cluster_are_not_of_this_machine(options: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", "--model", "mlp", *options])
    assert result.exit_code == 2
    assert "--executor ray" in result.stderr


@pytest.mark.parametrize(
    "given", [{"workers": 0}, {"threads": 0}, {"gpus": -1.0}], ids=lambda given: next(iter(given))
)
def test_impossible_settings_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="too small"):
        RayExecutor(**given)
