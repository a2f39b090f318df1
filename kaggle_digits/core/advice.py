"""Messages speak Python; the command line shows the Python in them as its options and commands.

In a message, ``folds=3`` and ``kd.train(dataset, 'dense')`` stand between backticks. The command
line prints --folds 3 and kd train dense.
"""

import ast
import re
import shlex
import sys

# Functions whose command has another name, or takes the first argument as an option.
COMMANDS = {"resume": "train --resume", "label_errors": "labels"}
COMMANDS |= dict.fromkeys(["find_recipe", "Split"], "train")
COMMANDS |= {"write_submission": "predict", "config": "runs"}  # methods of a run
FIRST_OPTIONS = {"find_recipe": "--recipe"}
# Arguments whose option has another name.
OPTIONS = {"path": "-o"}
VARIABLE = re.compile(r"os\.environ\['KD_(\w+)'\] = '1'")


def to_command_line(message: str) -> str:
    """Return ``message`` with the Python between backticks written as options and commands."""
    return re.sub(r"`([^`]+)`", lambda code: _translate(code[1]) or code[0], message)


def unset_variable(name: str) -> str:
    """Return the command of the system's usual shell that removes an environment variable."""
    return f"Remove-Item Env:{name}" if sys.platform == "win32" else f"unset {name}"


def with_variable(name: str, value: str) -> str:
    """Return how to run a command again with an environment variable."""
    if sys.platform == "win32":
        return f"type $env:{name}='{value}' before the command"
    return f"put {name}={value} before the command"


def _translate(code: str) -> str | None:
    """Return the options or the command for ``code``; None if it stands for none."""
    if variable := VARIABLE.fullmatch(code):
        return f"--{variable[1].lower()}"
    try:
        node = ast.parse(code if code.startswith("kd.") else f"f({code})", mode="eval").body
        if not isinstance(node, ast.Call):
            return None
        if isinstance(node.func, ast.Attribute):
            return " ".join(["kd", *_command(node, node.func.attr)])
        named = [
            f"--{name.id.replace('_', '-')}" for name in node.args if isinstance(name, ast.Name)
        ]
        return " ".join([*named, *_options(node)]) or None
    except (SyntaxError, ValueError):
        return None


def _command(call: ast.Call, function: str) -> list[str]:
    """Return the words of the command for ``call``; the dataset and the split have no argument."""
    words = COMMANDS.get(function, function).split()
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call):
        words += [_value(argument) for argument in call.func.value.args]  # of kd.open_run
    for argument in call.args:
        if isinstance(argument, ast.Call):
            words += _options(argument)
        elif not (isinstance(argument, ast.Name) and argument.id == "dataset"):
            words += [*filter(None, [FIRST_OPTIONS.get(function)]), _value(argument)]
    return words + _options(call)


def _options(call: ast.Call) -> list[str]:
    words = []
    for keyword in call.keywords:
        name, value = str(keyword.arg), _value(keyword.value)
        words.append(OPTIONS.get(name, f"--{name.replace('_', '-')}"))
        words += [] if value == "True" else [value]
    return words


def _value(node: ast.expr) -> str:
    if isinstance(node, ast.Name):  # a placeholder
        return node.id
    value = ast.literal_eval(node)
    return shlex.quote(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
