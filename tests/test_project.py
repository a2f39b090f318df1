"""Declared and pinned dependencies, the public API, the Makefile, and what may be committed."""

from __future__ import annotations

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import types
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import kaggle_digits

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kaggle_digits"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
PIN = re.compile(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+]+(; [a-z_]+ *[<>=!]+ *\"[a-z0-9.]+\")?")
# Import name → distribution name, if they differ.
DISTRIBUTION = {
    **{"sklearn": "scikit-learn", "kagglesdk": "kaggle", "PIL": "pillow"},
    **{"pydantic_core": "pydantic", "mlflow": "mlflow-skinny"},
}


def tracked_files() -> list[Path]:
    """Return the existing files that git tracks."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_documents_name_benchmarks_that_exist() -> None:
    for path in (path for path in tracked_files() if path.suffix == ".md"):
        for name in re.findall(r"-m benchmarks\.(\w+)", path.read_text(encoding="utf-8")):
            assert (ROOT / "benchmarks" / f"{name}.py").is_file(), f"{path}: benchmarks.{name}"


def package_name(text: str) -> str:
    """Return the normalized package name of a requirement."""
    found = re.match(r"[A-Za-z0-9_.-]+", text)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_imported_packages_are_declared() -> None:
    extras = dict(PROJECT["optional-dependencies"])
    del extras["dev"]
    optional = [text for texts in extras.values() for text in texts]
    declared = {package_name(text) for text in [*PROJECT["dependencies"], *optional]}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top != "kaggle_digits":
                    assert package_name(DISTRIBUTION.get(top, top)) in declared, f"{path}: {top}"


def test_constraints_pin_every_dependency_exactly() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    wrong = [line for line in lines if not PIN.fullmatch(line)]
    assert not wrong
    pinned = {package_name(line) for line in lines}
    extras = PROJECT["optional-dependencies"].values()
    needed = [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]
    assert {package_name(text) for text in needed} <= pinned
    assert lines == sorted(lines, key=str.casefold)


def test_version_is_the_newest_in_the_changelog() -> None:
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", log, re.MULTILINE)
    hatch = PYPROJECT["tool"]["hatch"]
    assert released[0] == hatch["version"]["fallback-version"]
    assert kaggle_digits.__version__ == metadata.version("kaggle-digits")
    version = (PACKAGE / "_version.py").read_text(encoding="utf-8")
    assert f'__version__ = "{released[0]}"' in version
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {released[0]}\n" in citation


def test_links_of_the_published_readme_are_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    """hatch_build.py, as in a GitHub workflow that was started by a tag."""
    interface = types.ModuleType("hatchling.metadata.plugin.interface")
    interface.MetadataHookInterface = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    build = runpy.run_path(str(ROOT / "hatch_build.py"))
    for name in ("REPOSITORY", "REF_TYPE", "REF_NAME", "SERVER_URL"):
        monkeypatch.delenv(f"GITHUB_{name}", raising=False)
    assert build["find_repository"]({"repository": ""}) == ("", "HEAD")
    assert build["find_repository"]({"repository": "https://a/b/"}) == ("https://a/b", "HEAD")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    monkeypatch.setenv("GITHUB_REF_TYPE", "tag")
    monkeypatch.setenv("GITHUB_REF_NAME", "v1.2.0")
    hook = build["MetadataHook"]()
    hook.config, hook.root = {}, str(ROOT)
    fields: dict[str, Any] = {}
    hook.update(fields)
    assert set(fields) == {"readme", "urls"} <= set(PROJECT["dynamic"])
    address = "https://github.com/owner/name"
    assert fields["urls"]["Changelog"] == f"{address}/blob/v1.2.0/CHANGELOG.md"
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", fields["readme"]["text"])
    for mark, link in links:
        assert link.startswith(("https://", "#")), link
        if link.startswith(address):
            kind, tag, path = link.removeprefix(f"{address}/").split("/", 2)
            assert (kind, tag) == ("raw" if mark else "blob", "v1.2.0")
            assert (ROOT / path.partition("#")[0]).is_file()
    assert sum(link.startswith(address) for _, link in links) > 10


def test_actions_are_pinned_by_hash() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for used in re.findall(r"uses: +(\S.*)", path.read_text(encoding="utf-8")):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used


def test_public_names_can_be_imported() -> None:
    for name in kaggle_digits.__all__:
        assert getattr(kaggle_digits, name) is not None
    assert set(kaggle_digits.__all__) <= set(dir(kaggle_digits))
    with pytest.warns(DeprecationWarning, match="use kaggle_digits.predict_test"):
        again = kaggle_digits.predict_again  # type: ignore[attr-defined]
        assert again is kaggle_digits.predict_test
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = kaggle_digits.nonsense  # type: ignore[attr-defined]


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    typed = {
        alias.asname  # "X as X" makes a name of a stub public
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == set(kaggle_digits.__all__)


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
@pytest.mark.parametrize(
    ("root", "sudo", "apt", "browser"),
    [
        (True, False, "true", False),
        (False, True, "true", False),
        (False, False, "true", False),
        (True, False, "echo E: no network; false", False),
        (True, False, "true", True),
        (True, False, None, False),
    ],
)
def test_ci_installs_chromium_if_it_can(
    root: bool, sudo: bool, apt: str | None, browser: bool, tmp_path: Path
) -> None:
    """Run .ci/run with stubs of all commands; ``apt``: what apt-get runs, None if there is none."""
    stubs = {
        "id": f"echo {0 if root else 1000}",
        "make": 'echo "make $* with KD_CI=$KD_CI"',
        "sudo": 'shift; exec "$@"' if sudo else "exit 1",
    }
    if apt:
        stubs["apt-get"] = f'echo "apt-get $*" >>{tmp_path}/calls; {apt}'
    if browser:
        stubs["chromium-browser"] = "true"
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "env", "mktemp", "rm", "tail", "true"):
        (folder / name).symlink_to(Path(shutil.which(name) or name).resolve())
    for name, code in stubs.items():
        (folder / name).write_text(f"#!{folder}/bash\n{code}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        [ROOT / ".ci" / "run"], env={"PATH": str(folder)}, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout == "make test with KD_CI=1\nmake smoke with KD_CI=1\n"
    calls = tmp_path / "calls"
    installs = calls.exists() and "install -y -qq --no-install-recommends" in calls.read_text()
    fails = bool(apt and "false" in apt)
    assert installs == bool(apt and not browser and not fails and (root or sudo))
    expected = "apt-get cannot install chromium: E: no network\n" if fails else ""
    assert done.stderr == expected


def test_browser_tests_fail_in_ci_without_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for in_ci in ("", "1"):
        monkeypatch.setenv("KD_CI", in_ci)
        support = runpy.run_path(str(ROOT / "tests" / "support" / "browser.py"))
        assert support["needs_chromium"].args == (in_ci == "",)  # the condition to skip
    with pytest.raises(pytest.fail.Exception, match="CI needs a browser, but there is none of"):
        support["chromium_path"]()


def test_make_describes_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[0].split()
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in phony:
        assert re.search(rf"^  make {target} +\S+", done.stdout, re.MULTILINE), target


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
@pytest.mark.parametrize("version", ["3, 10, 13", "3, 14, 0"])
def test_setup_rejects_unsupported_python(version: str, tmp_path: Path) -> None:
    other = tmp_path / "python"
    code = f"import sys; sys.version_info = ({version}); exec(sys.argv[2])"
    other.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{code}' \"$@\"\n")
    other.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        ["make", "setup", f"PYTHON={other}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "3.11, 3.12 or 3.13 is needed, not 3.1" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_files_contain_no_todo_and_no_local_path() -> None:
    todo = r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b"
    hosts = r"py" r"pi\.org|python" r"hosted|index" r"-url"
    places = r"/(home|Users|root|work|opt)/[a-z]|/tm" r"p/\w"
    pattern = re.compile(f"{todo}|{hosts}|{places}")
    found = []
    for path in tracked_files():
        if path.suffix in {".png", ".onnx", ".woff2", ".npz"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found


def test_no_data_or_model_is_committed() -> None:
    for path in tracked_files():
        place = path.relative_to(ROOT)
        if place.parts[0] in {"data", "runs", "submissions"}:
            assert place.name == "README.md", place
        if place.name == "not_digit.npz":  # the weights of a part of the toolkit
            continue
        assert place.suffix not in {".csv", ".zip", ".gz", ".npy", ".npz", ".keras", ".joblib"}
        assert path.stat().st_size < 500_000, place


def test_dependencies_are_listed_with_licences() -> None:
    """docs/dependencies.md is the output of benchmarks.licences for the pinned packages."""
    listed = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \| .+ \|$", listed, re.MULTILINE)
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [re.split(r"[=;\s]", line, maxsplit=1)[0] for line in lines]
    assert [name for name in rows if name not in ("package", "---")] == pinned
    assert "not installed" not in listed
