"""The outputs and tables of the documents are renewed in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import documents

PAGE = """Before.

```console
kd study
kd --version
```

```text
an old version
```

After.

```console
source nothing
```
"""


def test_output_of_the_last_command_is_renewed(tmp_path: Path) -> None:
    renewed = documents.renew(PAGE, tmp_path)
    assert "an old version" not in renewed
    assert "\n```text\nkaggle-digits " in renewed
    assert renewed.replace(renewed.split("```text\n")[1].split("\n")[0], "an old version") == PAGE


def test_table_of_the_studies_is_renewed_twice_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "studies"
    (folder / "scikit").mkdir(parents=True)
    (folder / "scikit" / "curve.png").write_bytes(b"picture")
    lines = ["experiment,what,published,measured,rows,reached,why", "E1,look,–,figure: a,,,"]
    lines += ["E2,fit,91.59 %,91.47 % (89.32–93.21),797,yes,one image", ""]
    (folder / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    html = '<p class="lead quiet">Data: kaggle.\n Seed 0.</p><b>3 seconds</b><span>computing</span>'
    (folder / "index.html").write_text(html, encoding="utf-8")
    docs = tmp_path / "docs"
    docs.mkdir()
    start = "# Studies\n\n"
    end = "\n![A curve](studies/curve.png)\n"
    head = (
        "| experiment | published | measured | rows | reached |\n| --- | --- | --- | --- | --- |\n"
    )
    (docs / "studies.md").write_text(start + head + end, encoding="utf-8")
    monkeypatch.setattr(documents, "DOCS", docs)
    for _ in range(2):
        documents.renew_studies(folder)
        row = "| E2 fit | 91.59 % | 91.47 % (89.32–93.21) | 797 | yes |\n"
        measured = "Data: kaggle. Seed 0. Computing took 3 seconds.\n\n"
        text = (docs / "studies.md").read_text("utf-8")
        assert text == f"{start}{measured}{head}{row}{end}"
    assert (docs / "studies" / "curve.png").read_bytes() == b"picture"
