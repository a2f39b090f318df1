"""``kd``: the commands, and what happens when one fails.

Heavy packages are imported by the commands that need them, so that ``kd --help`` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kaggle_digits._version import __version__
from kaggle_digits.cli import app as app_command
from kaggle_digits.cli import (
    classify,
    compare,
    console,
    demo,
    doctor,
    ensemble,
    evaluate,
    export,
    fetch,
    inspect,
    labels,
    predict,
    recipes,
    remote,
    runs,
    streams,
    study,
    submit,
    train,
    tune,
)
from kaggle_digits.core import interrupts, signing
from kaggle_digits.core.atomic_io import describe_os_error
from kaggle_digits.core.errors import DigitsError

INTERRUPTED = 130
SAID = "kaggle_digits.said"


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Variables that hold inside, and in the processes started there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Commands(TyperGroup):
    """Turns whatever a command raises into one line on stderr and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take --debug and --trust wherever they stand, as in ``kd train --debug``."""
        said: dict[str, str] = {}
        for option, variable in (
            ("--debug", console.DEBUG_VARIABLE),
            ("--trust", signing.VARIABLE),
        ):
            end = args.index("--") if "--" in args else len(args)
            if option in args[:end]:
                said[variable] = "1"
                args = [arg for arg in args[:end] if arg != option] + args[end:]
        ctx.meta[SAID] = said
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and the processes it starts, with what was said for this once."""
        with _environment(ctx.meta[SAID]):
            return self._told_in_a_line(ctx)

    def _told_in_a_line(self, ctx: Any) -> Any:
        try:
            with interrupts.handle_sigint():
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            console.error("stopped by Ctrl-C")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # `kd runs | head` has seen enough
            streams.discard(sys.stdout)
            raise typer.Exit(0) from None
        except DigitsError as error:
            if console.debugging():
                raise
            console.error(str(error))
            raise typer.Exit(error.exit_code) from None
        except OSError as error:  # what the system refuses is no fault of kd
            if console.debugging():
                raise
            console.error(describe_os_error(error))
            raise typer.Exit(1) from None
        except Exception as error:
            if console.debugging() or type(error).__module__.startswith("typer."):
                raise
            console.error(
                f"unexpected {type(error).__name__}: {error} — a fault of kd itself; "
                "run it again with --debug and report what it prints"
            )
            raise typer.Exit(1) from None


app = typer.Typer(
    name="kd",
    cls=Commands,
    help="From an empty folder to an honest, scored submission for Kaggle's Digit Recognizer.",
    epilog="The whole way: kd fetch · kd train --model dense · kd submit",
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        console.echo(f"kaggle-digits {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and every package's own words.")
    ] = False,
    trust_all: Annotated[
        bool, typer.Option("--trust", help="Let code in a run that was made elsewhere run here.")
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


COMMANDS: dict[str, list[Callable[..., None]]] = {
    "The way through": [fetch.fetch, train.train, submit.submit],
    "Look closer": [inspect.inspect, runs.runs, evaluate.evaluate, compare.compare, labels.labels],
    "Combine": [predict.predict, ensemble.ensemble],
    "Use a model": [classify.classify, app_command.app, export.export],
    "Published experiments": [study.study, study.reproduce],
    "Beyond one machine": [tune.tune],
    "Help": [demo.demo, recipes.recipes, doctor.doctor],
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(remote.app, rich_help_panel="Beyond one machine")


def main() -> None:
    """The ``kd`` command."""
    streams.make_usable()
    with console.redacted_tracebacks():
        app()
