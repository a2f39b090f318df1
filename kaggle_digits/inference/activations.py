"""What the first layers of a network compute from an image; without TensorFlow."""

from dataclasses import dataclass
from math import ceil, isqrt

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import DataError
from kaggle_digits.models.formats import LITERT_FILE
from kaggle_digits.runs.run import Run

CONVOLUTIONS, DENSE = ("CONV_2D", "DEPTHWISE_CONV_2D"), "FULLY_CONNECTED"
MAX_LAYERS, MAX_COLUMNS, GAP_GREY = 3, 8, 0.35


@dataclass(frozen=True)
class Layer:
    """A layer with its output (h, w, filters) for one image; h = w = 1 for a dense layer."""

    name: str
    output: NDArray[np.float32]

    def to_image(self) -> NDArray[np.uint8]:
        """Return the outputs of all filters in a grid, (h, w): 0 for none to 255 for the largest.

        Those of a convolution have a grey gap between them, and the largest of each is white; the
        numbers of a dense layer are the pixels of a square.
        """
        height, width, filters = self.output.shape
        is_dense = height == width == 1
        columns = isqrt(filters - 1) + 1 if is_dense else min(filters, MAX_COLUMNS)
        rows, gap = ceil(filters / columns), 0 if is_dense else 1
        largest = np.maximum(self.output.max(axis=None if is_dense else (0, 1)), 1e-9)
        cells = np.full((rows * columns, height + gap, width + gap), GAP_GREY, np.float32)
        cells[:filters, gap:, gap:] = np.moveaxis(self.output / largest, 2, 0)
        grid = cells.reshape(rows, columns, height + gap, width + gap).swapaxes(1, 2)
        image = grid.reshape(rows * (height + gap), columns * (width + gap))
        return np.asarray(np.rint(255 * np.clip(image, 0, 1)), np.uint8)


def first_layers(run: Run, image: NDArray[np.uint8]) -> list[Layer]:
    """Return the first layers of the run's first network with their outputs for a (28, 28) image.

    These are its first convolutions or, without any, its first dense layers. DataError: the run has
    no LiteRT model, or its network neither.
    """
    operations = _run_all_operations(run, image)
    convolutions = [output for name, output in operations if name in CONVOLUTIONS]
    dense = [output for name, output in operations if name == DENSE][:-1]  # not the logits
    layers = [
        Layer(f"{each.shape[2]} filters, {each.shape[0]} × {each.shape[1]}", each)
        for each in convolutions
    ] or [Layer(f"{each.shape[2]} units", each) for each in dense]
    if not layers:
        raise DataError(f"the network of run {run.name} has no layer between image and digits")
    return layers[:MAX_LAYERS]


def _run_all_operations(
    run: Run, image: NDArray[np.uint8]
) -> list[tuple[str, NDArray[np.float32]]]:
    """Return the name and output (h, w, filters) of each operation of convolutions or matrices."""
    path = run.member_folders()[0] / LITERT_FILE
    if not path.is_file():
        raise DataError(f"run {run.name} has no LiteRT model, whose layers could be shown")
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

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
    results = []
    for operation in interpreter._get_ops_details():
        if operation["op_name"] in (*CONVOLUTIONS, DENSE):
            output = interpreter.get_tensor(operation["outputs"][0])[0]
            results.append(
                (operation["op_name"], output if output.ndim == 3 else output[None, None])
            )
    return results
