"""kd export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaggle_digits.runs.run import Run
from tests.support.commands import kd


def test_exported_model_is_compared_with_keras(
    trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = ["--runs-dir", str(trained_run.path.parent)]
    done = kd("export", "dense", "--format", "litert", *runs)
    assert done.exit_code == 0, done.output
    assert "of Keras on 1,000 images" in done.stdout
    assert (tmp_path / "exports" / "dense-litert" / "README.md").is_file()
    done = kd("export", "dense", "--json", "-o", "elsewhere", *runs)
    found = json.loads(done.stdout)
    assert (found["format"], found["path"]) == ("litert", str(Path("elsewhere", "model.tflite")))
    assert found["difference"] < 1e-4
    done = kd("export", "dense", "--format", "tfjs", *runs)
    assert done.exit_code == 2
