"""Versions, and the cores and memory that this process may use."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from datetime import datetime, tzinfo
from pathlib import Path
from types import SimpleNamespace

import pytest

from kaggle_digits.core import environment
from kaggle_digits.core.environment import (
    THREAD_VARIABLES,
    check_clock,
    device,
    git_commit,
    installed_version,
    limit_threads_to_cgroup,
    memory,
    out_of_memory,
    usable_cores,
    versions,
)
from kaggle_digits.core.errors import StorageError


def test_versions_name_every_package() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["numpy"] != "missing"
    assert installed_version("numpy")
    assert not installed_version("no-such-package")


@pytest.mark.parametrize(
    ("machine", "text"),
    [
        ({"gpu": "NVIDIA H100 80GB HBM3, 81559 MiB", "cores": 16}, "1 × NVIDIA H100 80GB HBM3"),
        ({"gpu": "Tesla T4, 15360 MiB; Tesla T4, 15360 MiB", "cores": 4}, "1 × Tesla T4"),
        ({"cores": 2}, "2 cores"),
        ({"cores": 1}, "1 core"),
        ({}, "? cores"),
    ],
)
def test_device_is_the_first_gpu_or_the_cores(machine: dict[str, object], text: str) -> None:
    assert device(machine) == text


@pytest.mark.parametrize(
    ("year", "usable"), [(1970, False), (1980, True), (2107, True), (2108, False)]
)
def test_clock_that_model_files_cannot_hold(
    monkeypatch: pytest.MonkeyPatch, year: int, usable: bool
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            return cls(year, 1, 2, tzinfo=tz)

    monkeypatch.setattr(environment, "datetime", Clock)
    if usable:
        check_clock()
    else:
        with pytest.raises(StorageError, match=f"shows {year}-01-02.*set the clock"):
            check_clock()


def test_git_commit_is_that_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "kaggle_digits" / "core" / "environment.py"
    module.parent.mkdir(parents=True)
    module.touch()
    monkeypatch.setattr(environment, "__file__", str(module))
    assert git_commit() is None
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm first"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    os.utime(module, (1, 1))  # git would note this in its index, under a lock
    index = (tmp_path / ".git" / "index").read_bytes()
    commit = git_commit()
    assert commit is not None
    assert len(commit) == 12
    assert (tmp_path / ".git" / "index").read_bytes() == index
    module.write_text("changed")
    assert git_commit() == f"{commit}-dirty"


GB = 2**30
# Files of a cgroup → cores, bytes of memory, free bytes. The machine has 8 cores and 16 GB, of
# which 12 are free.
LIMITS: dict[str, tuple[str, dict[str, str], tuple[int, int, int]]] = {
    "none": ("0::/\n", {}, (8, 16 * GB, 12 * GB)),
    "version 2 in a container": (
        "0::/\n",
        {
            "cpu.max": "150000 100000",
            "memory.max": str(2 * GB),
            "memory.current": str(GB),
            "memory.stat": f"anon {GB // 2}\ninactive_file {GB // 2}\n",
        },
        (2, 2 * GB, 3 * GB // 2),
    ),
    "version 2 without limits": (
        "0::/user.slice\n",
        {"user.slice/cpu.max": "max 100000", "user.slice/memory.max": "max"},
        (8, 16 * GB, 12 * GB),
    ),
    "version 2, the limit of an outer group": (
        "0::/a/b\n",
        {"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000", "a/memory.max": str(GB)}
        | {"a/memory.current": str(2 * GB)},
        (4, GB, 0),
    ),
    "version 1": (
        "4:memory:/job\n3:cpu,cpuacct:/job\n0::/\n",
        {
            "cpu/job/cpu.cfs_quota_us": "50000",
            "cpu/job/cpu.cfs_period_us": "100000",
            "memory/job/memory.limit_in_bytes": str(3 * GB),
            "memory/job/memory.usage_in_bytes": str(GB),
            "memory/job/memory.stat": "total_inactive_file 0\n",
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/memory.usage_in_bytes": str(9 * GB),
        },
        (1, 3 * GB, 2 * GB),
    ),
    "version 1 without limits": (
        "3:cpu,cpuacct:/\n",
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        (8, 16 * GB, 12 * GB),
    ),
    "unreadable": ("0::/\n", {"cpu.max": "?", "memory.max": ""}, (8, 16 * GB, 12 * GB)),
}


@pytest.mark.parametrize(("own", "files", "expected"), LIMITS.values(), ids=LIMITS)
def test_limits_of_cgroups_are_respected(
    own: str,
    files: dict[str, str],
    expected: tuple[int, int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, content in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "own").write_text(own)
    environment._cgroup_cores.cache_clear()
    monkeypatch.setattr(environment, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(environment, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    machine = SimpleNamespace(total=16 * GB, available=12 * GB)
    monkeypatch.setattr("psutil.virtual_memory", lambda: machine)
    assert (usable_cores(), *memory()) == expected
    assert environment.hardware()["memory_gb"] == expected[1] / GB
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")  # the user's own choice
    limit_threads_to_cgroup()
    threads = None if expected[0] == 8 else str(expected[0])
    assert [os.environ.get(name) for name in THREAD_VARIABLES] == [threads, threads, "7", threads]
    for name in THREAD_VARIABLES:
        os.environ.pop(name, None)
    environment._cgroup_cores.cache_clear()


def test_affinity_limits_the_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "OWN_CGROUPS", tmp_path / "absent")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert usable_cores() == 2


def test_errors_of_full_memory_are_recognised() -> None:
    class ResourceExhaustedError(Exception):
        """As TensorFlow's."""

    for error in (MemoryError(), ResourceExhaustedError()):
        assert "GB are free" in str(out_of_memory(error))
    assert out_of_memory(ValueError()) is None
    assert math.isfinite(memory()[0])


@pytest.mark.parametrize(
    ("cards", "packages", "chosen", "expected"),
    [
        ("Tesla T4, 15360 MiB\nTesla T4, 15360 MiB", ["jax-cuda12-plugin"], "", "jax"),
        ("Tesla T4, 15360 MiB", ["jax-cuda12-plugin"], "tensorflow", "tensorflow"),
        ("Tesla T4, 15360 MiB", ["jax"], "", ""),
        ("", ["jax-cuda12-plugin"], "", ""),
    ],
)
def test_jax_is_chosen_on_a_gpu_only_if_the_user_chose_nothing(
    cards: str, packages: list[str], chosen: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", chosen)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setattr(environment, "_output", lambda command: cards)
    monkeypatch.setattr(environment, "installed_version", packages.__contains__)
    assert environment.choose_jax_on_gpu() == (chosen != expected)
    assert os.environ["KERAS_BACKEND"] == expected
