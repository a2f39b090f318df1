"""Write the page as a folder for any web server: the model runs in the visitor's browser."""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from kaggle_digits.core.atomic_io import wrap_os_errors, write_json
from kaggle_digits.core.environment import cache_folder
from kaggle_digits.core.errors import StorageError, UsageError, one_line
from kaggle_digits.core.output_paths import check_output, new_folder
from kaggle_digits.runs.run import Run
from kaggle_digits.training.export import export_run

PAGE = Path(__file__).parent / "page"
# ONNX Runtime for browsers, a package of npm, and the SHA-512 of its archive.
RUNTIME = "onnxruntime-web@1.30.0"
RUNTIME_SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
RUNTIME_FILES = {
    "ort.js": "package/dist/ort.wasm.bundle.min.mjs",
    "ort-wasm-simd-threaded.wasm": "package/dist/ort-wasm-simd-threaded.wasm",
}
DOWNLOAD_TIMEOUT = 900  # seconds for 33 MB
SERVER, BROWSER_MODEL = "server.js", "browser_model.js"
PICTURE_HINT = "or drop, paste or upload a picture, or show one to the camera"
# No request to another host; ONNX Runtime compiles WebAssembly.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; object-src 'none'"
)


def export_page(run: Run, folder: Path, *, force: bool = False) -> int:
    """Write a page on which visitors' browsers read drawings with ``run``; return its bytes.

    ``force`` first renames an existing ``folder``. The model predicts without test-time
    augmentation. Raises:
        UsageError: the folder exists, or npm or a package for ONNX is missing.
        ModelError: the model cannot be converted.
        StorageError: ONNX Runtime cannot be downloaded, or the folder cannot be written.
    """
    check_output(folder, folder=True, force=force)
    with new_folder(folder) as part, tempfile.TemporaryDirectory() as exports:
        page = part / "page"
        page.mkdir()
        model = export_run(run, "onnx", Path(exports, "onnx")).path
        shutil.move(model, page)
        _add_runtime(page)
        for source in PAGE.iterdir():
            if source.suffix in (".js", ".css") and source.name not in (SERVER, BROWSER_MODEL):
                shutil.copy(source, page)
        shutil.copy(PAGE / BROWSER_MODEL, page / SERVER)
        write_json(page / "run.json", {"name": run.name, "accuracy": run.metrics()["val_accuracy"]})
        # Without what only kd app can do, and with its own security policy.
        html = (PAGE / "index.html").read_text(encoding="utf-8").replace(PICTURE_HINT, "")
        policy = f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">'
        html = html.replace("<html ", '<html class="static" ', 1)
        html = html.replace("<head>", f"<head>\n  {policy}", 1)
        (part / "index.html").write_text(html, encoding="utf-8")
        return sum(path.stat().st_size for path in part.rglob("*") if path.is_file())


def _add_runtime(page: Path) -> None:
    """Copy the files of ONNX Runtime into the page; download them when first used."""
    archive = cache_folder() / f"{RUNTIME.replace('@', '-')}.tgz"
    with wrap_os_errors(archive):
        archive.parent.mkdir(parents=True, exist_ok=True)
        if not archive.is_file():
            _download(archive)
        if hashlib.sha512(archive.read_bytes()).hexdigest() != RUNTIME_SHA512:
            archive.unlink()
            raise StorageError(
                f"{archive} was not {RUNTIME} as published; it was deleted; try again"
            )
        with tarfile.open(archive) as files:
            for name, member in RUNTIME_FILES.items():
                content = files.extractfile(member)
                assert content is not None
                (page / name).write_bytes(content.read())


def _download(archive: Path) -> None:
    """Download ``archive`` with npm, from the registry that it is set up for."""
    by_hand = f"or save the package's archive as {archive}"
    if (npm := shutil.which("npm")) is None:
        raise UsageError(
            f"kd app --export needs npm, a part of Node.js, to download {RUNTIME}; install it, "
            f"{by_hand}"
        )
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        command = [npm, "pack", RUNTIME, "--ignore-scripts", "--silent"]
        try:
            subprocess.run(
                command, cwd=folder, capture_output=True, check=True, timeout=DOWNLOAD_TIMEOUT
            )
            Path(folder, archive.name).replace(archive)
        except (subprocess.SubprocessError, FileNotFoundError) as error:
            reason = one_line(getattr(error, "stderr", b"").decode(errors="replace") or error)
            raise StorageError(
                f"npm cannot download {RUNTIME} ({reason}); try again later, {by_hand}"
            ) from error
