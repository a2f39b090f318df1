"""kd app: serve the web app in which users draw digits."""

import shlex
import webbrowser
from pathlib import Path

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import flag, option
from kaggle_digits.core.errors import UsageError
from kaggle_digits.core.extras import require


def app(
    *,
    run: str | None = options.PREDICTOR_RUN,
    host: str = option(
        "Address; default 127.0.0.1; 0.0.0.0 for other devices, too.",
        metavar="HOST",
        default="127.0.0.1",
    ),
    allow_host: list[str] | None = option("Host name of a proxy; repeatable.", metavar="NAME"),
    port: int = option("Port, 0 for a free one; default 8000.", default=8000, min=0, max=65535),
    open_browser: bool = flag("Open the app in the browser.", "--open"),
    export: Path | None = option(
        "Write the page as a folder for any web server.", "--export", metavar="FOLDER"
    ),
    force: bool = options.FORCE,
    drawings_dir: Path = options.DRAWINGS_DIR,
    runs_dir: Path = options.RUNS_DIR,
) -> None:
    """Draw digits in the browser and see the predictions; Ctrl-C stops the server."""
    if export is not None:
        from kaggle_digits.app.static_page import export_page
        from kaggle_digits.inference.predictor import load_predictor
        from kaggle_digits.runs.store import open_run

        name = run or load_predictor(runs_dir).run_name
        with console.err.status(f"exporting a page with run {name}"):
            size = export_page(open_run(runs_dir, name), export, force=force)
        console.echo(f"{export}: a page of {size / 1e6:.1f} MB that reads drawings with run {name}")
        folder = shlex.quote(str(export))
        console.note(f"any web server can serve it: python -m http.server -d {folder}")
        return
    if force:
        raise UsageError("--force needs --export: it renames an existing folder first")
    require("kd app", "fastapi", "starlette", "uvicorn", extra="web")
    from kaggle_digits.app.api import create_app
    from kaggle_digits.app.run_server import bind, is_loopback, network_url, serve, server_url

    web_app = create_app(runs_dir, run, host, allow_host or (), drawings_dir)
    for message in web_app.state.skipped:
        console.warn(message)
    if problem := web_app.state.saving_problem:
        console.warn(f"drawings cannot be saved: {problem} (kd app --drawings-dir FOLDER)")
    listening = bind(host, port)
    address = server_url(listening)
    console.echo(f"{web_app.state.run} predicts what you draw at {address} (Ctrl-C stops it)")
    if web_app.state.caveat:
        console.note(web_app.state.caveat)
    if not is_loopback(host):
        others = network_url(listening)
        console.warn(f"everybody in your network can use the app, at {others}")
    if open_browser:
        webbrowser.open(address)
    serve(web_app, listening)
