"""kd app."""

from __future__ import annotations

from typing import Annotated

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import RUNS, RunsDir

EXTRA = {"fastapi", "starlette", "pydantic", "uvicorn"}


def app(
    *,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="NAME",
            help="The run that reads; the best one unless given.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to serve at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve at.")] = 8000,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Draw digits in the browser and see at once what a run reads; Ctrl-C ends it."""
    try:
        from kaggle_digits.app.api import create_app
        from kaggle_digits.app.run_server import bind, is_private, serve, url
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    try:
        made = create_app(runs_dir, run, host)
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    listening = bind(host, port)
    address = url(listening)

    def ready() -> None:
        console.echo(f"{made.state.run} reads what you draw at {address} (Ctrl-C ends it)")
        if not is_private(host):
            console.warn(f"at {host} everybody in your network can reach it")
        if open_browser:
            import webbrowser

            webbrowser.open(address)

    serve(made, listening, ready)


def _explained(error: ModuleNotFoundError) -> Exception:
    """What to install, if it is a package of the extra; else the error as it is."""
    from kaggle_digits.core.errors import UsageError

    missing = (error.name or "").partition(".")[0]
    if missing not in EXTRA:
        return error
    return UsageError(
        f"kd app wants packages that are not installed ({missing}); install them: "
        "pip install 'kaggle-digits[web]'"
    )
