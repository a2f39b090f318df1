"""The script that trains on Kaggle: each step of it."""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kaggle_digits.kaggle_notebooks import entry_point
from kaggle_digits.kaggle_notebooks.entry_point import (
    SessionError,
    ensure_packages,
    find_data,
    pack_run,
    run_with_time_limit,
    unpack,
)
from kaggle_digits.kaggle_notebooks.push import pack_source
from tests.support.kernels import clean_python


def test_changed_source_is_not_unpacked(tmp_path: Path) -> None:
    source, digest = pack_source()
    with pytest.raises(SessionError, match="changed on its way"):
        unpack(source[:-8] + "AAAAAAAA", digest, tmp_path)


@pytest.mark.parametrize(
    "layout", ["competitions/digit-recognizer", "digit-recognizer", "other/name", ""]
)
def test_data_are_found_at_any_depth(layout: str, tmp_path: Path) -> None:
    (tmp_path / "empty" / "train.csv").parent.mkdir()
    (tmp_path / "empty" / "train.csv").touch()
    folder = tmp_path / layout
    folder.mkdir(parents=True, exist_ok=True)
    for name in entry_point.FILES:
        (folder / name).touch()
    assert find_data(tmp_path) == folder


def test_missing_data_names_the_rules(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="accept the competition's rules"):
        find_data(tmp_path)


INSTALLED, MISSING, OUTDATED = {"pytest": "1"}, {"no-such-package": "2"}, {"pytest": "999"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requirements that pip would install; only the first succeeds if it does not exist."""
    requirements: list[str] = []

    def install(requirement: str) -> str:
        requirements.append(requirement)
        failed = requirements.count("no-such-package>=2") > 1
        return "pip: no matching distribution" if failed else ""

    monkeypatch.setattr(entry_point, "pip_install", install)
    return requirements


def test_installed_packages_are_kept(installed: list[str]) -> None:
    assert ensure_packages(INSTALLED, {"rich": "1"}, internet=True) == []
    assert installed == []


def test_missing_optional_package_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensure_packages(INSTALLED, MISSING, internet=False) == []
    assert "no-such-package is missing (the internet is off)" in capsys.readouterr().out


def test_missing_required_package_is_installed_or_named(installed: list[str]) -> None:
    with pytest.raises(
        SessionError, match=r"no-such-package is missing .* push again with --internet"
    ):
        ensure_packages(MISSING, {}, internet=False)
    ensure_packages(MISSING, {}, internet=True)
    assert installed == ["no-such-package>=2"]
    with pytest.raises(SessionError, match="no matching distribution"):
        ensure_packages(MISSING, {}, internet=True)


def test_outdated_packages_except_tensorflow_are_updated(
    installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_packages(OUTDATED, {}, internet=True)
    assert installed == ["pytest>=999"]
    monkeypatch.setattr(entry_point, "NEVER_REPLACED", ("pytest",))
    (left,) = ensure_packages(OUTDATED, {}, internet=True)
    assert left.startswith("pytest ")
    assert len(installed) == 1
    assert ensure_packages(OUTDATED, {}, internet=False) == [left]


def test_module_of_a_package_with_another_name_is_found() -> None:
    assert ensure_packages({"scikit-learn": "1"}, {"ai-edge-litert": "1"}, internet=False) == []


def child_script(folder: Path, body: str) -> list[str]:
    path = folder / "child.py"
    path.write_text(f"import signal, sys, time\n{body}", encoding="utf-8")
    return [sys.executable, "-u", str(path)]


SLOW = """
print("begun")
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("kept"); sys.exit(130)
"""


def test_training_is_interrupted_at_the_time_limit(tmp_path: Path) -> None:
    code, reason, tail = run_with_time_limit(
        child_script(tmp_path, SLOW), dict(os.environ), tmp_path, 1.5
    )
    assert (code, tail) == (130, ["begun", "kept"])
    assert "hours is reached" in reason


def test_sigterm_interrupts_the_training(tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    code, reason, tail = run_with_time_limit(
        child_script(tmp_path, SLOW), dict(os.environ), tmp_path, 60
    )
    assert (code, tail[-1], reason) == (130, "kept", "Kaggle ended this session")
    assert signal.getsignal(signal.SIGTERM) is handler


def test_training_that_ignores_the_interrupt_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_point, "GRACE_SECONDS", 0.3)
    ignoring = "signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
    start = time.monotonic()
    code, reason, _ = run_with_time_limit(
        child_script(tmp_path, ignoring), dict(os.environ), tmp_path, 0.5
    )
    assert code == -signal.SIGKILL
    assert reason
    assert time.monotonic() - start < 10


def unfinished(folder: Path, done: int) -> Path:
    """Return a run folder with ``done`` of three members finished."""
    run = folder / "runs" / "far"
    run.mkdir(parents=True)
    (run / "config.json").write_text('{"members": 3}')
    (run / ".lock").touch()
    for member in range(done):
        (run / "members" / str(member)).mkdir(parents=True)
        (run / "members" / str(member) / "member.json").write_text("{}")
    return run


@pytest.mark.parametrize(("done", "state"), [(0, "failed"), (2, "partial")])
def test_finished_members_are_packed(done: int, state: str, tmp_path: Path) -> None:
    manifest = pack_run(unfinished(tmp_path, done), tmp_path, succeeded=False)
    assert (manifest["state"], manifest["members_done"]) == (state, done)
    assert (tmp_path / "kd-run.zip").exists() == bool(done)
    assert not any(".lock" in name for name in manifest["files"])


def run_in_empty_folder(folder: Path, source: str, **settings: Any) -> tuple[dict[str, Any], str]:
    """Run a script with ``source`` as its toolkit; return its manifest and its output."""
    all_settings = {
        **{"push_id": "ab", "run": "far", "recipe": "linear", "recipe_text": None, "options": []},
        **{"accelerator": None, "internet": False, "hours": 1.0, "toolkit": "0"},
        "source_sha256": hashlib.sha256(source.encode()).hexdigest(),
        **settings,
    }
    text = Path(entry_point.__file__).read_text(encoding="utf-8")
    call = f"\nsys.exit(main(json.loads({json.dumps(all_settings)!r}), {source!r}))\n"
    (folder / "script.py").write_text(text + call, encoding="utf-8")
    python, env = clean_python()
    env |= {"KD_KERNEL_INPUT": str(folder / "in"), "TMPDIR": str(folder), "HOME": str(folder)}
    done = subprocess.run(
        [python, "script.py"], cwd=folder, env=env, capture_output=True, text=True, timeout=60
    )
    manifest = json.loads((folder / "kd-manifest.json").read_text())
    assert done.returncode == (1 if manifest["state"] == "failed" else 0), done.stdout
    assert not list(folder.glob("kd-*/")), "its temporary folder remains"
    return manifest, done.stdout


def toolkit(body: str) -> str:
    """Return a packed toolkit whose ``kd`` runs ``body``."""
    files = {"kaggle_digits/__init__.py": "", "kaggle_digits/__main__.py": body}
    return base64.b64encode(lzma.compress(json.dumps(files).encode())).decode()


def write_data(folder: Path) -> None:
    (folder / "in").mkdir()
    for name in entry_point.FILES:
        (folder / "in" / name).write_text(name)


def test_session_without_the_requested_gpu_fails(tmp_path: Path) -> None:
    manifest, stdout = run_in_empty_folder(tmp_path, toolkit(""), accelerator="NvidiaTeslaT4")
    assert "no GPU" in manifest["reason"]
    assert '"state": "failed"' in stdout.splitlines()[-1]


def test_the_training_chooses_its_backend_itself(tmp_path: Path) -> None:
    write_data(tmp_path)
    body = "import os, sys\nsys.exit('backend: ' + os.environ.get('KERAS_BACKEND', 'open'))"
    manifest, _ = run_in_empty_folder(tmp_path, toolkit(body))
    assert manifest["log_tail"] == ["backend: open"]  # kd train takes JAX on a GPU


def test_failed_training_leaves_its_last_lines(tmp_path: Path) -> None:
    write_data(tmp_path)
    body = "import sys\nprint('one')\nsys.exit('error: no memory left')"
    manifest, _ = run_in_empty_folder(tmp_path, toolkit(body))
    assert manifest["reason"].startswith("kd train ended with 1: error: no memory left")
    assert manifest["log_tail"] == ["one", "error: no memory left"]
    assert manifest["exit_code"] == 1
    assert set(manifest["data"]) == set(entry_point.FILES)


def test_interrupted_training_leaves_its_finished_members(tmp_path: Path) -> None:
    write_data(tmp_path)
    body = """
import json, pathlib, sys, time
run = pathlib.Path(sys.argv[sys.argv.index("--runs-dir") + 1]) / "far"
(run / "members" / "0").mkdir(parents=True)
(run / "config.json").write_text('{"members": 2}')
(run / "members" / "0" / "member.json").write_text("{}")
try:
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(130)
"""
    manifest, _ = run_in_empty_folder(tmp_path, toolkit(body), hours=3 / 3600)
    assert (manifest["state"], manifest["members_done"], manifest["members"]) == ("partial", 1, 2)
    assert "hours is reached" in manifest["reason"]
    assert (tmp_path / "kd-run.zip").is_file()
