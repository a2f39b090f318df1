"""Control sequences, rich markup and HTML in text from untrusted files.

No control sequence reaches the terminal, markup is shown literally, and report.html contains no
element of theirs. Values of the wrong type are explained.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.runs.run import Run
from tests.robustness.hostile_runs import Home, spoilt, workplace
from tests.robustness.report import Row
from tests.robustness.runners import Runners

PART = "files"
WORDS = (
    "\x1b]0;pwned\x07\x1b[2J\x1b[31m",
    "\x9b31m\x90q\x1b\\\x84",
    "\u202edrow\u2066\u200b\u2028",
    "\r\nerror: all is lost\x08\x08\x08",
    "[bold red]not[/bold red][/][link=https://x]x[/link][@click=app.bell]y[/]",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "{{ 7*7 }}{% raw %}$x^2$\\frac{",
    "x" * 5000,
)
WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e308,
    10**400,
    "1",
    "",
    [],
    [[]],
    {},
    {"a": {}},
    [1, "a"],
)
MARKS = ("pwned", "alert(1)", "drow", "all is lost", "not[")
COMMANDS = (
    ("runs",),
    ("runs", "--json"),
    ("runs", "evil"),
    ("runs", "evil", "--json"),
    ("evaluate", "evil"),
    ("compare", "good", "evil"),
    ("labels", "evil"),
    ("ensemble", "good", "evil", "-o", "submissions/both.csv"),
    ("doctor", "--offline"),
    ("inspect",),
)


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield rows for text, for values of the wrong type, and for names of files."""
    with Runners(1, keras=True) as runners:
        home, rng = Home(workplace(work), runners), random.Random(seed)
        yield words(home, quick=quick)
        yield wrong(home, rng, 6 if quick else 60)
        yield names(home)


def shown(out: str, err: str) -> str:
    """Return what is wrong with the output of a command, or ""."""
    odd = {c for c in out + err if not c.isprintable() and c != "\n"}
    if odd:
        return f"reached the terminal: {''.join(sorted(odd))!a}"
    if "Traceback" in err or "unexpected" in err:
        return f"not explained: {err[-300:]}"
    return ""


def words(home: Home, *, quick: bool) -> Row:
    """Make every text in config.json, metrics.json and the data's record hostile."""
    bad, times, why = 0, 0, ""
    record = (home.path / "data" / "source.json").read_text()
    for number, word in enumerate(WORDS[:2] if quick else WORDS):
        content = json.loads(record)
        write_json(home.path / "data" / "source.json", {**content, "source": f"a{word}"})
        for commands in COMMANDS[1:] if number else COMMANDS:
            run = spoilt(home.path, lambda run, command: None, "")
            _hostile(run, word)
            _, out, err = home.kd(*commands)
            fault = shown(out, err)
            report = run.path / "report.html"
            if report.exists() and (
                "<script>alert" in (text := report.read_text()) or "<img src=x" in text
            ):
                fault = fault or "HTML in the report"
            times += 1
            bad += bool(fault)
            why = why or (fault and f"; kd {' '.join(commands)}, {word[:20]!a}: {fault}"[:400])
            shutil.rmtree(run.path)
            for made in home.path.glob("submissions/*"):
                made.unlink()
    (home.path / "data" / "source.json").write_text(record)
    return Row(PART, "control sequences, markup and HTML in a run", times, bad, why.lstrip("; "))


def _hostile(run: Run, word: str) -> None:
    config, metrics = run.config(), run.metrics()
    keep = {"kind", "train_sha256", "test_sha256"}

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            spoiled = {key: spoil(one, key) for key, one in value.items()}
            return {**spoiled, f"k{word}": f"v{word}"}
        if isinstance(value, list):
            return [spoil(one) for one in value]
        return f"{value}{word}" if isinstance(value, str) and key not in keep else value

    recipe = config["recipe"]
    config = {**spoil(config), "split": config["split"]}
    # An unreadable recipe is refused anyway, so keep it readable.
    if len(word) % 2:
        config["recipe"] = recipe
    write_json(run.path / "config.json", config)
    write_json(run.path / "metrics.json", spoil(metrics))


def wrong(home: Home, rng: random.Random, times: int) -> Row:
    """Put values of the wrong type anywhere in config.json and metrics.json."""
    bad, why, tried = 0, "", 0
    for number in range(times):
        run = spoilt(home.path, lambda run, command: None, "")
        name = rng.choice(["config.json", "metrics.json"])
        content = json.loads((run.path / name).read_text())
        place = content
        key = rng.choice(list(place))
        while isinstance(place[key], dict) and place[key] and rng.random() < 0.7:
            place = place[key]
            key = rng.choice(list(place))
        value = rng.choice(WRONG)
        place[key] = value
        (run.path / name).write_text(json.dumps(content))
        for commands in (COMMANDS[number % 4], COMMANDS[4 + number % 4]):
            _, out, err = home.kd(*commands)
            tried += 1
            fault = shown(out, err)
            bad += bool(fault)
            said = f"; {name}, {key} = {value!r}, kd {' '.join(commands)}: {fault}"
            why = why or (said[:400] if fault else "")
        shutil.rmtree(run.path)
        for made in home.path.glob("submissions/*"):
            made.unlink()
    return Row(PART, "values of the wrong type in a run", tried, bad, why.lstrip("; "))


def names(home: Home) -> Row:
    """Use hostile names of runs, files and pictures, and hostile CSV cells."""
    bad, why, times = 0, "", 0
    good = home.path / "runs" / "good"
    folders = []
    for word in WORDS[:6]:
        folder = home.path / "runs" / f"a{word}".replace("/", "_")[:200]
        shutil.copytree(good, folder)
        folders.append(folder)
    header, first, *_ = (home.path / "data" / "train.csv").read_bytes().split(b"\r\n")
    commands: list[tuple[str, ...]] = [("runs",), ("runs", "--json")]
    for number, word in enumerate(WORDS):
        data = home.path / f"data-{number}"
        shutil.copytree(home.path / "data", data)
        cells = first.split(b",")
        cells[5] = word.encode("utf-8", "replace")
        lines = [header if number % 2 else b",".join([word.encode(), header]), b",".join(cells)]
        (data / "train.csv").write_bytes(b"\r\n".join(lines))
        commands += [("inspect", "--data-dir", str(data)), ("runs", word[:200].replace("\0", ""))]
        picture = home.path / f"p{word}.png".replace("/", "_")[:100]
        picture.write_bytes(word.encode("utf-8", "replace"))
        commands += [("classify", str(picture), "--run", "good")]
    for words_ in itertools.chain(commands):
        _, out, err = home.kd(*words_)
        times += 1
        fault = shown(out, err)
        bad += bool(fault)
        why = why or (fault and f"; kd {ascii(' '.join(words_))[:80]}: {fault}"[:400])
    for folder in folders:
        shutil.rmtree(folder)
    return Row(PART, "hostile names of runs, pictures and cells", times, bad, why.lstrip("; "))
