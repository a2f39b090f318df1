"""What the first layers of a network compute from an image; without TensorFlow."""

from math import ceil, isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import DataError
from kaggle_digits.core.extras import install_packages
from kaggle_digits.models.formats import LITERT_FILE
from kaggle_digits.runs.run import Run

CONVOLUTIONS, DENSE = ("CONV_2D", "DEPTHWISE_CONV_2D"), "FULLY_CONNECTED"
MAX_LAYERS, MAX_COLUMNS, GAP_GREY = 3, 8, 0.35


def first_layers(run: Run, image: NDArray[np.uint8]) -> list[tuple[str, NDArray[np.float32]]]:
    """Return the first layers of the run's first network: name and output for a (28, 28) image.

    The outputs are (h, w, filters) of the first convolutions or, without any, (1, 1, units) of the
    first dense layers. DataError: the run has no LiteRT model, its network no such layer,
    or LiteRT is not installed.
    """
    operations = _run_operations(run, image)
    convolutions = [output for name, output in operations if name in CONVOLUTIONS]
    dense = [output for name, output in operations if name == DENSE][:-1]  # not the logits
    if not (convolutions or dense):
        raise DataError(f"the network of run {run.name} has no layer between image and digits")
    layers = [("{2} filters, {0} × {1}".format(*each.shape), each) for each in convolutions]
    layers = layers or [(f"{each.shape[2]} units", each) for each in dense]
    return layers[:MAX_LAYERS]


def draw_layer(output: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw the output (h, w, filters) of a layer as a grid of its filters, 255 for the largest.

    The filters of a convolution have a grey gap between them, and the largest output of each is
    white; the units of a dense layer are the pixels of a square.
    """
    height, width, filters = output.shape
    is_dense = height == width == 1
    columns = isqrt(filters - 1) + 1 if is_dense else min(filters, MAX_COLUMNS)
    rows, gap = ceil(filters / columns), 0 if is_dense else 1
    largest = np.maximum(output.max(axis=None if is_dense else (0, 1)), 1e-9)
    cells = np.full((rows * columns, height + gap, width + gap), GAP_GREY, np.float32)
    cells[:filters, gap:, gap:] = np.moveaxis(output / largest, 2, 0)
    grid = cells.reshape(rows, columns, height + gap, width + gap).swapaxes(1, 2)
    image = grid.reshape(rows * (height + gap), columns * (width + gap))
    return np.asarray(np.rint(255 * np.clip(image, 0, 1)), np.uint8)


def _run_operations(run: Run, image: NDArray[np.uint8]) -> list[tuple[str, Any]]:
    """Return the name and output of each convolution and dense layer, (h, w, filters)."""
    path = run.member_folders()[0] / LITERT_FILE
    if not path.is_file():
        raise DataError(f"run {run.name} has no LiteRT model, whose layers could be shown")
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        install = install_packages("ai-edge-litert")
        raise DataError(f"the layers are computed by LiteRT; install it: {install}") from error

    interpreter = Interpreter(
        model_content=path.read_bytes(),
        num_threads=1,
        # A delegate would not keep the outputs of its operations.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    named = [(each["op_name"], each["outputs"][0]) for each in interpreter._get_ops_details()]
    outputs = [
        (name, interpreter.get_tensor(k)[0]) for name, k in named if name in (*CONVOLUTIONS, DENSE)
    ]
    return [(name, each if each.ndim == 3 else each[None, None]) for name, each in outputs]
