"""The ``kd`` command: register the commands, and turn their exceptions into an exit code.

To add a command, write cli/NAME.py with a function NAME and add an example to EXAMPLES. Heavy
packages are imported inside the functions that use them, so that ``kd --help`` stays fast.
"""

import importlib
import os
import sys
import threading
import traceback
import warnings
from typing import Any

import typer

from kaggle_digits._version import __version__
from kaggle_digits.cli import console, remote, runs
from kaggle_digits.cli.options import Command, Group, flag
from kaggle_digits.core import environment, interrupts, library_settings, platforms, progress, trust
from kaggle_digits.core.atomic_io import describe_os_error
from kaggle_digits.core.errors import DigitsError
from kaggle_digits.kaggle_api.redaction import redact

FIRST_SIGN = 0.2  # seconds after the imports until a command that printed nothing says so
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
GLOBAL_FLAGS = {
    **{"--debug": console.DEBUG_VARIABLE, "--trust": trust.VARIABLE},
    **dict.fromkeys(("-q", "--quiet"), console.QUIET_VARIABLE),
}
ENVIRONMENT = "kaggle_digits.environment"
MODULES = {"reproduce": "study"}  # commands in a module with another name

# Panel of ``kd --help`` → an example of each command, which its own help shows.
EXAMPLES = {
    "Main steps": [
        "kd fetch sample",
        "kd train dense --folds 5",
        "kd submit dense-1 --wait",
        "kd submissions --offline",
    ],
    "Inspect and evaluate": [
        "kd inspect --recipe strong",
        "kd evaluate dense-1",
        "kd compare dense-1 cnn-1",
        "kd labels cnn-1",
        "kd show 5 12 --run cnn-1",
    ],
    "Predict and combine": [
        "kd predict cnn-1 --tta 5 --output cnn-tta.csv",
        "kd ensemble dense-1 cnn-1 --method weighted",
    ],
    "Use a model": [
        "kd classify digit.png --run cnn-1",
        "kd app --run cnn-1 --open",
        "kd export cnn-1 --format onnx",
        "kd publish cnn-1 --to hf:OWNER/digits --dry-run",
    ],
    "Tune and scale": ["kd tune dense --trials 20"],
    "Published experiments": ["kd study denoise --noise uniform", "kd reproduce --quick"],
    "Help": ["kd demo", "kd recipes strong -o mine.json", "kd doctor --offline"],
}


class Commands(Group):
    """The group of all commands; reports every failure in one line and by the exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accept --debug, --trust and --quiet after the command as well as before it."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[ENVIRONMENT] = {GLOBAL_FLAGS[a]: "1" for a in args[:end] if a in GLOBAL_FLAGS}
        other = [arg for arg in args[:end] if arg not in GLOBAL_FLAGS]
        return super().parse_args(ctx, other + args[end:])

    def invoke(self, ctx: Any) -> Any:
        """Run the command; these options also hold for the processes it starts."""
        progress.note = console.note
        console.printed.clear()
        first_sign = threading.Timer(FIRST_SIGN, console.sign_of_work, ["working …"])
        first_sign.daemon = True
        first_sign.start()
        with library_settings.variables(platforms.folder_variables() | ctx.meta[ENVIRONMENT]):
            try:
                with interrupts.handle_sigint():
                    return super().invoke(ctx)
            except KeyboardInterrupt as interrupt:
                console.error("interrupted by Ctrl-C")
                if interrupt.args:  # how to resume
                    console.note(str(interrupt))
                raise typer.Exit(INTERRUPTED) from None
            except BrokenPipeError:  # a reader such as `head` has closed the pipe
                console.discard(sys.stdout)
                raise typer.Exit(0) from None
            except Exception as error:
                if console.debugging() or type(error).__module__.startswith(("typer.", "click.")):
                    raise
                if isinstance(error, DigitsError):
                    console.error(str(error))
                    raise typer.Exit(error.exit_code) from None
                if isinstance(error, OSError):
                    console.error(describe_os_error(error))
                elif reason := environment.out_of_memory(error):
                    console.error(reason)
                else:
                    console.error(
                        f"unexpected {type(error).__name__}: {error} — this is a bug in kd; "
                        "run the command again with --debug and report the output"
                    )
                raise typer.Exit(1) from None
            finally:
                first_sign.cancel()
                console.begin_output()
                console.repeat_folders = str


app = typer.Typer(
    name="kd",
    cls=Commands,
    help="Train, evaluate and submit models for Kaggle's Digit Recognizer.",
    epilog="Example: kd fetch && kd train dense && kd submit",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _print_version(requested: bool) -> None:
    if requested:
        console.echo(f"kaggle-digits {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    version: bool = flag(
        "Print the version.", "--version", "-V", callback=_print_version, is_eager=True
    ),
    quiet: bool = flag("Show results, warnings and errors only.", "--quiet", "-q"),
    debug: bool = flag("Show tracebacks and output of packages.", "--debug"),
    trust_all: bool = flag("Allow a run or recipe made elsewhere to execute code.", "--trust"),
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


for panel, examples in EXAMPLES.items():
    for example in examples:
        name = example.split()[1]
        module = importlib.import_module(f"kaggle_digits.cli.{MODULES.get(name, name)}")
        register = app.command(cls=Command, rich_help_panel=panel, epilog=f"Example: {example}")
        register(getattr(module, name))
app.add_typer(runs.app, rich_help_panel="Inspect and evaluate")
app.add_typer(remote.app, rich_help_panel="Tune and scale")


def main() -> None:
    """Run the ``kd`` command."""
    library_settings.ignore_variables()
    os.environ["MPLBACKEND"] = "agg"  # kd opens no window
    if os.environ.pop("PYTHONWARNINGS", None):  # "error" would make imports fail
        warnings.simplefilter("ignore")
    console.make_streams_usable()
    environment.limit_threads_to_cgroup()
    try:
        app()
    except Exception as error:
        # Messages of other packages contain request headers with the token or proxy passwords.
        sys.stderr.write(redact("".join(traceback.format_exception(error))))
        raise SystemExit(1) from None
