"""Build the wheel, install it into a new environment outside this folder, and use it there.

It runs with any Python, without the toolkit or its packages:

    python tests/wheel_smoke.py                    the newest versions that fit together
    python tests/wheel_smoke.py --oldest           the lowest versions that pyproject.toml allows
    python tests/wheel_smoke.py --python 3.13 'tensorflow==2.20.*'
    python tests/wheel_smoke.py --without tensorflow --models linear,mlp

The last line is a row of a table: environment, versions, size, what ran, seconds.
"""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHOWN = ("tensorflow", "tensorflow-cpu", "jax", "keras", "numpy", "scikit-learn", "ai-edge-litert")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("packages", nargs="*", help="requirements to install beside the wheel")
    parser.add_argument("--python", default=sys.executable, help="a version or a path")
    parser.add_argument("--oldest", action="store_true", help="the lowest versions allowed")
    parser.add_argument("--without", action="append", default=[], metavar="PACKAGE")
    parser.add_argument("--models", default="linear,dense", help="the recipes to train")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kd-wheel-") as name:
        start, folder = time.monotonic(), Path(name)
        python = install(folder, given.python, given.packages, given.without, oldest=given.oldest)
        installed = time.monotonic() - start
        exports = not {"ai-edge-litert", "tensorflow"} & {*given.without}
        exports = exports or "tensorflow-cpu" in "".join(given.packages)
        done = use(python, folder, given.models.split(","), exports=exports)
        seconds = time.monotonic() - start
        print(row(python, given, done, installed, seconds))


def run(
    *command: Path | str, folder: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Return what a command prints; show it and stop if it fails."""
    print("$", *command, flush=True)
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=env, capture_output=True, encoding="utf-8"
    )
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}exit code {done.returncode}")
    return done.stdout


def check(is_true: object, what: str) -> None:
    if not is_true:
        sys.exit(f"wrong: {what}")


def install(
    folder: Path, python: str, packages: Sequence[str], without: Sequence[str], *, oldest: bool
) -> Path:
    """Build the wheel, install it into ``folder``/venv and return the environment's Python."""
    uv = shutil.which("uv")
    if uv is None:
        tools = folder / "tools"
        run(sys.executable, "-m", "venv", tools)
        run(executable(tools, "python"), "-m", "pip", "install", "--quiet", "uv")
        uv = str(executable(tools, "uv"))
    run(uv, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    run(uv, "venv", "--quiet", "--python", python, folder / "venv")
    python_path = executable(folder / "venv", "python")
    excludes = folder / "excludes.txt"
    excludes.write_text("\n".join(without))
    # Only as direct requirements does uv install the lowest versions.
    resolution = ("--resolution=lowest-direct", "-r", ROOT / "pyproject.toml") if oldest else ()
    arguments = (*resolution, "--excludes", excludes, "--only-binary=:all:", wheel, *packages)
    run(uv, "pip", "install", "--quiet", "--python", python_path, *arguments)
    return python_path


def executable(environment: Path, name: str) -> Path:
    """Return the path of a program of a virtual environment."""
    windows = environment / "Scripts" / f"{name}.exe"
    return windows if windows.exists() else environment / "bin" / name


def use(python: Path, folder: Path, models: Sequence[str], *, exports: bool) -> list[str]:
    """Run the commands of a first day in ``folder``, check what they leave, and list them.

    ``exports``: TensorFlow and LiteRT are installed, which ``kd export`` needs.
    """
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environ |= {"KAGGLE_CONFIG_DIR": str(folder), "PYTHONUTF8": "1"}
    done = []

    def kd(*arguments: str) -> str:
        done.append(arguments[0] if arguments[0] != "train" else " ".join(arguments[:2]))
        return run(executable(python.parents[1], "kd"), *arguments, folder=folder, env=environ)

    code = "import kaggle_digits; print(kaggle_digits.__file__)"
    place = run(python, "-c", code, folder=folder, env=environ)
    check("site-packages" in place, f"the toolkit is imported from {place}")
    check("fetch" in kd("--help"), "--help does not list fetch")
    kd("fetch", "sample")
    for model in models:
        kd("train", model)
        lines = (folder / "submissions" / f"{model}-1.csv").read_text().splitlines()
        check(lines[0] == "ImageId,Label" and len(lines) > 100, f"the submission of {model}")
        accuracy = json.loads(kd("evaluate", f"{model}-1", "--json"))["accuracy"]
        check(accuracy > 0.85, f"{model}: accuracy {accuracy}")
        check((folder / "runs" / f"{model}-1" / "report.html").is_file(), "no report.html")
    label, picture = picture_of_a_digit(folder)
    (found,) = json.loads(kd("classify", str(picture), "--json"))
    check(found["digit"] == label, f"a picture of {label} is read as {found}")
    if exports and "dense" in models:
        kd("export", "dense-1", "--format", "litert")
        check((folder / "exports/dense-1-litert/model.tflite").stat().st_size, "no model.tflite")
    check(json.loads(kd("doctor", "--offline", "--json"))["healthy"], "kd doctor finds an error")
    return done


def picture_of_a_digit(folder: Path) -> tuple[int, Path]:
    """Write the first row of train.csv as a picture, black on white; return label and path."""
    with (folder / "data/train.csv").open(newline="") as file:
        _, first = next(reader := csv.reader(file)), next(reader)
    path = folder / "digit.pgm"
    path.write_bytes(b"P5 28 28 255\n" + bytes(255 - int(value) for value in first[1:]))
    return int(first[0]), path


def row(
    python: Path, given: argparse.Namespace, done: Sequence[str], installed: float, seconds: float
) -> str:
    """Return the row of a table about the environment and what ran in it."""
    code = (
        "import importlib.metadata as m, platform; print('python', platform.python_version()); "
        "[print(d.name.replace('_', '-'), d.version) for d in m.distributions()]"
    )
    versions = dict(re.findall(r"^(\S+) (\S+)$", run(python, "-c", code), re.MULTILINE))
    shown = ", ".join(f"{name} {versions[name]}" for name in ("python", *SHOWN) if name in versions)
    files = [path for path in python.parents[1].rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files if not path.is_symlink()) / 1e9
    name = " ".join(
        ["oldest" if given.oldest else "newest", *given.packages]
        + [f"without {package}" for package in given.without]
    )
    times = f"{installed:.0f} s to install, {seconds - installed:.0f} s to run"
    return f"| {name} | {shown} | {size:.2f} GB | {', '.join(done)} | {times} |"


if __name__ == "__main__":
    main()
