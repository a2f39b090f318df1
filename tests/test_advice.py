"""Every command that a message or a document names is one that ``kd`` accepts.

Messages of the library name functions instead, which the command line shows as commands.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kaggle_digits
from kaggle_digits.core.advice import to_command_line
from tests.support.advice import COMMANDS, commands_in, fault

ROOT = Path(__file__).parents[1]
PACKAGE = Path(kaggle_digits.__file__).parent
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")),
)
MODULES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
# Packages that only the command line uses speak its language.
LIBRARY = [m for m in MODULES if m.split("/")[0] not in ("cli", "app", "studies", "executors")]
LIBRARY = [
    m
    for m in LIBRARY
    if m != "core/advice.py" and m.split("/")[0] not in ("kaggle_notebooks", "ensembling")
]
OTHER_PROGRAMS = {"--always", "--abbrev", "--no-optional-locks", "--query-gpu"}
OTHER_PROGRAMS |= {
    "--porcelain",
    "--untracked-files",
    "--format",
    "--xla",
    "--storage",
    "--extra",
    "--vary",
    "--with",
    "--editable",
    "--python",
}
# Package or module → the only commands that show its messages.
RAISED_BY = {
    "ensembling": ("ensemble",),
    "tuning": ("tune",),
    "kaggle_notebooks/push.py": ("remote push",),
    "sources": ("fetch",),
}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of every string that is no docstring; placeholders become 1."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    skipped = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, scopes) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(value) for value in node.values}
            parts = [v.value if isinstance(v, ast.Constant) else "1" for v in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and id(node) not in skipped:
            yield node.lineno, str(node.value)


@pytest.mark.parametrize("module", MODULES)
def test_every_command_in_a_message_is_accepted(module: str) -> None:
    found = [
        f"line {line}: {why}"
        for line, text in texts(PACKAGE / module)
        for command in commands_in(to_command_line(text))
        if (why := fault(command))
    ]
    assert not found


@pytest.mark.parametrize("module", LIBRARY)
def test_messages_of_the_library_speak_python(module: str) -> None:
    for line, text in texts(PACKAGE / module):
        for code in re.findall(r"`(kd\.[^`]+)`", text):
            call = ast.parse(code, mode="eval").body
            assert isinstance(call, ast.Call), f"{module}:{line}: {code}"
            values = [None for _ in call.args]
            named = {str(keyword.arg): None for keyword in call.keywords}
            assert isinstance(call.func, ast.Attribute)
            owner: Any = kaggle_digits
            if isinstance(call.func.value, ast.Call):  # kd.open_run(…).method()
                owner, values = kaggle_digits.Run, [None, *values]
            inspect.signature(getattr(owner, call.func.attr)).bind_partial(*values, **named)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text):
            assert "install" in text or option in OTHER_PROGRAMS, f"{module}:{line}: {text}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_in_a_document_is_accepted(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    spans = re.findall(r"`+(kd [^`]+)`", text)
    named = [command for span in spans for command in commands_in(span)]
    assert not [why for command in named if (why := fault(command, mention=True))]


@pytest.mark.parametrize("module", [m for name in RAISED_BY for m in MODULES if m.startswith(name)])
def test_an_option_alone_belongs_to_every_command_that_raises_the_message(module: str) -> None:
    (names,) = (names for start, names in RAISED_BY.items() if module.startswith(start))
    for line, text in texts(PACKAGE / module):
        alone = to_command_line(text)
        for command in commands_in(alone):
            alone = alone.replace(command, "")
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", alone):
            for name in names:
                params = COMMANDS[tuple(name.split())].params
                known = {word for one in params for word in (*one.opts, *one.secondary_opts)}
                assert option in known | {"--trust", "--debug", "--address"}, (
                    f"{module}:{line}: {option}"
                )


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("resume it: kd train --resume --name a; or not", ["kd train --resume --name a"]),
        ("next: kd evaluate a · kd submit", ["kd evaluate a", "kd submit"]),
        ("run kd evaluate a, then kd app", ["kd evaluate a", "kd app"]),
    ],
)
def test_commands_are_found(text: str, commands: list[str]) -> None:
    assert list(commands_in(text)) == commands


@pytest.mark.parametrize(
    "command",
    [
        "kd trian",
        "kd export RUN --tta 5",
        "kd classify --json",
        "kd remote delete",
        "kd app --port x",
    ],
)
def test_a_wrong_command_is_found(command: str) -> None:
    assert fault(command)


def test_a_mention_needs_no_arguments() -> None:
    assert not fault("kd labels needs cleanlab")
    assert fault("kd classify")
