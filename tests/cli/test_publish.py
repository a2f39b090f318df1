"""kd publish: the whole way, from a run to a loopback server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from kaggle_digits.data.dataset import load
from kaggle_digits.models.formats import load_exported
from kaggle_digits.runs.run import Run
from tests.support.fixtures import home, kaggle
from tests.support.kaggle_server import FakeKaggle

__all__ = ["home", "kaggle"]


def test_a_run_is_written_shown_and_sent(
    kaggle: FakeKaggle,
    trained_run: Run,
    sample: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = [f"--runs-dir={trained_run.path.parent}", f"--data-dir={sample}"]
    words = ["publish", "dense", "--to", "kaggle:some-user/digits", *places]
    done = CliRunner().invoke(app, [*words, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "published/dense/model.tflite: " in done.stdout
    assert "nothing was sent; without --dry-run, these files go to kaggle:some-user" in done.stdout
    assert not kaggle.calls
    images = load(sample).test.images[:3]
    probabilities = load_exported("litert", Path("published/dense/model.tflite"))(images)
    assert probabilities.shape == (len(images), 10)
    card = Path("published/dense/README.md").read_text(encoding="utf-8")
    assert "scikit-learn's 8 × 8 digits" in card
    assert "model.allocate_tensors()" in card
    Path("published/dense/README.md").write_text(card + "Mine.\n", encoding="utf-8")
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["url"].endswith("/some-user/digits/tfLite/dense")
    (versions,) = kaggle.instances.values()
    assert versions[0]["README.md"].decode().endswith("Mine.\n")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "--new-version adds a version and keeps the old one" in done.stderr
    assert len(versions) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--to", "digits"], "--to digits is neither hf:OWNER/NAME nor kaggle:OWNER/NAME"),
        (["--license", "gpl"], "--license gpl is unknown; one of: mit,"),
        (["--format", "saved_model"], "--format saved_model is no single file"),
    ],
)
def test_wrong_usage(words: list[str], expected: str, trained_run: Run) -> None:
    places = [f"--runs-dir={trained_run.path.parent}"]
    done = CliRunner().invoke(app, ["publish", "dense", *words, *places])
    assert done.exit_code == 2
    assert expected in done.stderr


def test_a_missing_credential_is_named_before_anything_is_written(
    home: Path, trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["publish", "dense", "--to", "kaggle:me/digits"]
    done = CliRunner().invoke(app, [*words, f"--runs-dir={trained_run.path.parent}"])
    assert done.exit_code == 1
    assert "no Kaggle credential found" in done.stderr
    assert not Path("published").exists()
