"""Check the layers of the package: a module imports only from lower layers, without cycles."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "kaggle_digits"
LAYERS = [
    {"_version"},
    {"core"},
    {"data"},
    {"metrics", "models", "kaggle_api", "imaging"},
    {"plots", "runs", "sources"},
    {"evaluation", "ensembling"},
    {"training"},
    {"executors", "inference", "publishing", "tuning"},
    {"studies", "kaggle_notebooks", "app", "api"},
    {"cli"},
    {"__main__", "__init__"},
]
LAYER_OF = {package: number for number, names in enumerate(LAYERS, 1) for package in names}
ONLY_IN = {
    "typer": {"cli"},
    "rich": {"cli"},
    "tensorflow": {"models", "training", "studies"},
    "keras": {"models", "training", "studies"},
}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imports(path: Path, *, top_level: bool = False) -> frozenset[str]:
    """Return the modules that ``path`` imports at run time (not for type checkers only)."""
    return frozenset(_find_imports(path, top_level))


def _find_imports(path: Path, top_level: bool) -> Iterator[str]:
    tree = parse(path)
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in tree.body if top_level else ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: use absolute imports"
            module = node.module or ""
            for alias in node.names:
                inside = f"{module}.{alias.name}".removeprefix("kaggle_digits.")
                yield f"kaggle_digits.{inside}" if inside in MODULES else module


def own_imports(path: Path) -> set[str]:
    """Return the modules of kaggle_digits that ``path`` imports."""
    prefix = "kaggle_digits."
    return {name.removeprefix(prefix) for name in imports(path) if name.startswith(prefix)}


def package_of(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module: str) -> None:
    layer = LAYER_OF[package_of(module)]
    for other in own_imports(MODULES[module]):
        assert package_of(other) == package_of(module) or LAYER_OF[package_of(other)] < layer, (
            f"{module} (layer {layer}) imports {other} (layer {LAYER_OF[package_of(other)]})"
        )


def test_no_circular_imports() -> None:
    TopologicalSorter(
        {name: own_imports(path) - {name} for name, path in MODULES.items()}
    ).prepare()
    packages: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        packages.setdefault(package_of(name), set()).update(map(package_of, own_imports(path)))
    TopologicalSorter({name: used - {name} for name, used in packages.items()}).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_third_party_packages_are_imported_only_in_their_layers(module: str) -> None:
    used = {name.partition(".")[0] for name in imports(MODULES[module])}
    for package, allowed in ONLY_IN.items():
        assert package not in used or package_of(module) in allowed, f"{module} imports {package}"
    heavy = {"tensorflow", "keras", "sklearn", "matplotlib", "pandas", "kaggle"}
    if package_of(module) in {
        "cli",
        "__init__",
        "models",
        "training",
        "data",
        "kaggle_api",
        "sources",
    }:
        early = {name.partition(".")[0] for name in imports(MODULES[module], top_level=True)}
        assert not early & heavy, f"{module} imports {early & heavy} before it is needed"


@pytest.mark.parametrize("module", [m for m in MODULES if package_of(m) != "cli"])
def test_only_the_command_line_prints(module: str) -> None:
    tree = parse(MODULES[module])
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [f for f in calls if isinstance(f, ast.Name) and f.id in ("print", "exit", "input")]
