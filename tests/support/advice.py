"""Find the ``kd`` commands that a text names, and check that each one would be accepted."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from kaggle_digits.cli.main import GLOBAL_FLAGS, app
from kaggle_digits.models.registry import BUILDERS
from kaggle_digits.studies.runner import STUDIES
from kaggle_digits.training.recipes import RECIPES

GROUP: Any = get_command(app)
COMMANDS: dict[tuple[str, ...], Any] = {
    **{(name,): command for name, command in GROUP.commands.items()},
    **{
        (group, name): command
        for group in ("remote", "runs")
        for name, command in GROUP.commands[group].commands.items()
    },
}
COMMANDS["runs",] = COMMANDS["runs", "show"]
# What follows ``kd`` where it is the subject of a sentence.
PROSE = {"itself", "has", "is", "pushes"}
PROSE |= {name for option in GROUP.params for name in option.opts} | {"--help"}
NAMES = {*BUILDERS, *RECIPES, *STUDIES, "sample", "openml", "local", "ray"}
# Ends of a command in a sentence or in a table.
END = re.compile(
    r"[;()·—&|`\n…\"]|, |,$|: |\. |(?<! )\.$|\]$| or (?=kd |another )| and (?=kd )|  +|' "
)
ARGUMENT = re.compile(r"[A-Z][A-Z…]*|-|\.|[\w./~-]*[\d.][\w./-]*|\S*/\S*|\S*:\S*")


def commands_in(text: str) -> Iterator[str]:
    """Yield every command that ``text`` names, from ``kd`` to the end of its arguments."""
    for found in re.finditer(r"(?<![\w.-])kd (?=[a-z-])", text):
        rest = text[found.end() :].replace("[", "").replace("]", "")
        ends = END.search(rest)
        yield f"kd {rest[: ends.start()] if ends else rest}".rstrip(" ,:'")


def fault(command: str, *, mention: bool = False) -> str:
    """Return why ``kd`` would not accept ``command``, or ""; prose after it is left out.

    Arguments may be missing where a command is only mentioned: with ``mention``, or if prose
    follows its name, as in "kd labels needs cleanlab".
    """
    words = [word for word in shlex.split(command)[1:] if word not in GLOBAL_FLAGS]
    path = tuple(
        words[:2] if words[:1] == ["remote"] or tuple(words[:2]) in COMMANDS else words[:1]
    )
    if path in ((), ("remote",)) or words[0] in PROSE:
        return ""
    if path not in COMMANDS:
        return f"{command}: no such command"
    arguments, prose = _arguments(COMMANDS[path], words[len(path) :])
    try:
        COMMANDS[path].make_context("kd", arguments)
    except typer.Exit:  # --help
        return ""
    except Exception as error:  # of the copy of click in typer
        message = str(getattr(error, "message", "") or type(error).__name__)
        missing = type(error).__name__ == "MissingParameter" or "requires an argument" in message
        may_miss = mention or (prose and not arguments)
        return "" if missing and may_miss else f"{command}: {message}"
    return ""


def _arguments(command: Any, words: list[str]) -> tuple[list[str], bool]:
    """Return the arguments at the beginning of ``words``, and whether prose follows them."""
    takes_value = {
        name
        for option in command.params
        if not getattr(option, "is_flag", False)
        for name in (*option.opts, *option.secondary_opts)
    }
    arguments: list[str] = []
    for word in words:
        is_value = bool(arguments) and arguments[-1] in takes_value
        if not (is_value or word.startswith("-") or word in NAMES or ARGUMENT.fullmatch(word)):
            return arguments, True
        # A metavariable such as N stands for a number or a name.
        arguments.append("1" if re.fullmatch(r"[A-Z][A-Z…]*", word) else word)
    return arguments, False
