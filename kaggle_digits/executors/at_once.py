"""Train the members of a run at once on a GPU, with JAX.

Starting a small operation takes a GPU longer than computing it, so a step of many networks takes
hardly longer than a step of one. The variables of the members are stacked, Keras' own training step
is mapped over them (``jax.vmap``), and one call trains an epoch (``jax.lax.scan``). Convolutions
become matrix products of image patches, of which many are one batch; many convolutions would be one
with as many groups of channels, which libraries compute slowly.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Generator, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from kaggle_digits.core.environment import out_of_memory
from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.models.backend import keras, predict_batch_size
from kaggle_digits.models.base import flat_layers
from kaggle_digits.models.registry import SKLEARN_MODELS, is_user_code
from kaggle_digits.models.tta import KeptCopies, predict_tta
from kaggle_digits.training.executor import Cost, Executor, Failed, Outcome, Workload
from kaggle_digits.training.fold import Epoch, FoldResult, FoldTask, fold_epochs, make_trainer
from kaggle_digits.training.keras_trainer import LOG_LOSS, KerasTrainer, autocast
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.time_limit import Clock, time_predictions

Metrics = tuple[float, float, float]  # loss, accuracy, learning rate
_Training = Generator[Epoch, Metrics | None, FoldResult]  # of fold_epochs
# From 25 to 75 networks the time per network falls by an eighth only (docs/gpu.md), while memory
# and the seconds until the first of them is finished grow.
MAX_AT_ONCE = 20
# Compiled networks that are kept for the next group, as many as `best` has architectures.
MAX_COMPILED = 2


@dataclass(frozen=True, kw_only=True)
class AtOnceExecutor(Executor):
    """Trains members that differ in weights, seeds and rows only at once.

    Their results are those of training one by one up to the rounding of float32. A member that
    differs from all others is trained alone in the same way, because a whole epoch in one call is
    faster; models of the user's and of scikit-learn are trained as on a CPU.

    ``compiled``: the networks that were compiled last, by recipe and number of training rows.
    """

    compiled: dict[Hashable, Together] = field(default_factory=dict, compare=False, repr=False)
    trains_at_once: ClassVar[bool] = True

    def describe(self, tasks: Sequence[FoldTask]) -> dict[str, Any]:
        largest = max(map(len, _groups(tasks)), default=1)
        return {**super().describe(tasks), "members_at_once": largest}

    def measure(
        self, recipe: Recipe, folds: Sequence[FoldIndices], dataset: Dataset
    ) -> Cost | None:
        """Time two epochs of the models of ``folds``; what they compile is kept for the training.

        The cost is each model's share, without the compilation.
        """
        if not _is_ours(recipe.model):
            return None
        tasks = [FoldTask(number, recipe, fold, seed=0) for number, fold in enumerate(folds)]
        group = _groups(tasks)[0]
        epochs, clock = [], Clock()
        for task in group:
            clock.lap()
            images, labels = dataset.train.images[task.fold.train], dataset.labels[task.fold.train]
            trainer = make_trainer(recipe, images, labels, task.seed)
            epochs.append(Epoch(trainer, 0, lambda *_: None))
        start = clock.lap()  # of the last one: the first one includes the start of Keras
        together = self._together(_constants(group[0]), epochs)
        together.train(epochs)
        clock.lap()
        together.train(epochs)
        epoch = clock.lap() / len(epochs)
        first = epochs[0].trainer.classifier
        sample = KeptCopies(dataset.test.images[: predict_batch_size()])
        predict_tta(first, sample, recipe.views, recipe.affine_range)  # compiles, makes the copies
        validation, end = time_predictions(first, sample, recipe, folds[0], dataset)
        return Cost(start, epoch + validation, end)

    def train(self, work: Workload) -> Iterator[Outcome]:
        fit = partial(
            fold_epochs,
            train=work.train,
            test=work.test,
            callback=work.callback,
            test_copies=KeptCopies(work.test.images),
        )
        for group in _groups(work.tasks):
            if not _is_ours(group[0].recipe.model):
                yield from super().train(replace(work, tasks=group))
                continue
            members = []
            for task in group:
                own = work.checkpoint(task.member)
                member = fit(task, checkpoint=own.load(), save_checkpoint=own.save)
                members.append((task, member))
            yield from self._train_group(_constants(group[0]), members)

    def _train_group(
        self, constants: Hashable, members: list[tuple[FoldTask, _Training]]
    ) -> Iterator[Outcome]:
        """Train all members in step, and yield the outcome of each when it ends."""
        metrics: Sequence[Metrics | None] = [None] * len(members)
        while members:
            unfinished, epochs = [], []
            for (task, member), last in zip(members, metrics, strict=True):
                try:
                    epochs.append(member.send(last))
                    unfinished.append((task, member))
                except StopIteration as end:
                    yield end.value
                except (ModelError, UsageError) as error:
                    yield Failed(task, error)
            members = unfinished
            if epochs:
                metrics = self._together(constants, epochs).train(epochs)

    def _together(self, constants: Hashable, epochs: Sequence[Epoch]) -> Together:
        """Return the networks compiled with these constants; keep those that were used last."""
        together = self.compiled.pop(constants, None) or Together(epochs)
        self.compiled[constants] = together
        if len(self.compiled) > MAX_COMPILED:
            del self.compiled[next(iter(self.compiled))]
        return together


def _groups(tasks: Sequence[FoldTask]) -> list[list[FoldTask]]:
    """Divide ``tasks`` into groups whose networks differ in the values of variables only."""
    groups: dict[Hashable, list[FoldTask]] = defaultdict(list)
    for task in tasks:
        groups[_constants(task)].append(task)
    return [
        group[start : start + MAX_AT_ONCE]
        for group in groups.values()
        for start in range(0, len(group), MAX_AT_ONCE)
    ]


def _constants(task: FoldTask) -> Hashable:
    """Return a key of what is compiled into the training of ``task``, apart from array shapes."""
    # `standard` has other constants for other rows; a user's network may have any.
    if not _is_ours(task.recipe.model) or task.recipe.normalize == "standard":
        return object()
    pseudo_labelled = 0 if task.pseudo_labels is None else int((task.pseudo_labels >= 0).sum())
    return task.recipe, len(task.fold.train) + pseudo_labelled


def _is_ours(model: str) -> bool:
    return model not in SKLEARN_MODELS and not is_user_code(model)


class Together:
    """Networks that differ in the values of their variables only, and their compiled epoch."""

    def __init__(self, epochs: Sequence[Epoch]) -> None:
        import jax

        first = self._first = _trainer(epochs[0])
        self._size = len(epochs)
        self._train_epoch = _compile_epoch(first.model, first.batches.batch_size)
        self._stack = jax.jit(_stack)
        self._unstack = jax.jit(_unstack)

    def train(self, epochs: Sequence[Epoch]) -> list[Metrics]:
        """Train one epoch of each; half as many at a time if the memory is full."""
        import jax

        for trainer in map(_trainer, epochs):
            trainer.classifier.compiled = self._first.classifier.compiled
            trainer.compiled_statistics = self._first.compiled_statistics
            trainer.batches.rows = jax.device_put(trainer.batches.rows)  # no copy the next time
        metrics: list[Metrics] = []
        while len(metrics) < len(epochs):
            some = epochs[len(metrics) : len(metrics) + self._size]
            try:
                metrics += self._train(some)
            except Exception as error:
                if self._size == 1 or not out_of_memory(error):
                    raise
                self._size = math.ceil(self._size / 2)
        return metrics

    def _train(self, epochs: Sequence[Epoch]) -> list[Metrics]:
        # The number is always the same, because JAX compiles each one anew.
        padded = [*epochs, *[epochs[0]] * (self._size - len(epochs))]
        trainers = list(map(_trainer, padded))
        variables = [
            [[variable.value for variable in group] for group in trainer.variable_groups()]
            for trainer in trainers
        ]
        rows = [trainer.batches.rows for trainer in trainers]
        pairs = zip(trainers, padded, strict=True)
        orders = [trainer.row_order(epoch.number).astype(np.int32) for trainer, epoch in pairs]
        model = self._first.model
        with autocast(model, self._first.precision), _convolutions_as_products(model):
            stacked, logs = self._train_epoch(
                self._stack(variables), self._stack(rows), np.stack(orders)
            )
        values = self._unstack(stacked)
        logs = {name: np.asarray(value) for name, value in logs.items()}
        metrics = []
        for number, epoch in enumerate(epochs):
            trainer = trainers[number]
            for group, new in zip(trainer.variable_groups(), values[number], strict=True):
                for variable, value in zip(group, new, strict=True):
                    variable.assign(value)
            loss, accuracy = float(logs[LOG_LOSS][number]), float(logs["accuracy"][number])
            epoch.on_step(trainer.steps, loss, accuracy)
            metrics.append((loss, accuracy, trainer.rate_after(epoch.number)))
        return metrics


def _trainer(epoch: Epoch) -> KerasTrainer:
    assert isinstance(epoch.trainer, KerasTrainer)  # _groups leaves scikit-learn's out
    return epoch.trainer


@contextmanager
def _convolutions_as_products(model: Any) -> Iterator[None]:
    """Let the convolutions of ``model`` multiply patches of the images; equal up to rounding."""
    layers = [x for x in flat_layers(model) if isinstance(x, keras().layers.Conv2D)]
    try:
        for layer in layers:
            options = {"strides": layer.strides, "padding": layer.padding}
            layer.convolution_op = partial(_patches_times_kernel, **options)
        yield
    finally:
        for layer in layers:
            del layer.convolution_op  # the class's own again


def _patches_times_kernel(
    images: Any, kernel: Any, *, strides: tuple[int, int], padding: str
) -> Any:
    """Return the convolution of images (n, h, w, channels) with (kh, kw, channels, filters)."""
    import jax

    ops = keras().ops
    height, width, channels, filters = kernel.shape
    down, right = strides
    sides = jax.lax.padtype_to_pads(images.shape[1:3], (height, width), strides, padding.upper())
    images = ops.pad(images, ((0, 0), *sides, (0, 0)))
    last_row, last_column = images.shape[1] - height, images.shape[2] - width
    patches = [
        images[:, i : i + last_row + 1 : down, j : j + last_column + 1 : right]
        for i in range(height)
        for j in range(width)
    ]
    matrix = ops.reshape(kernel, (height * width * channels, filters))
    return ops.matmul(ops.concatenate(patches, axis=-1), matrix)


def _compile_epoch(model: Any, batch_size: int) -> Any:
    """Compile an epoch of several networks with the layers of ``model``.

    It is a function of the stacked values of their (trainable, other, optimizer's) variables and of
    their (images, targets), and of an array (networks, rows) with the order of the rows of each. It
    returns the new values, stacked, and the metrics of all as arrays.
    """
    import jax
    import jax.numpy as jnp

    def train_one(variables: Any, rows: Any, order: Any) -> Any:
        metrics = [jnp.zeros(v.shape, v.dtype) for v in model.metrics_variables]

        def step(state: Any, batch: Any) -> Any:
            images, targets = rows
            logs, state = model.train_step(state, (images[batch], targets[batch]))
            return state, logs

        whole = len(order) // batch_size * batch_size
        batches = order[:whole].reshape(-1, batch_size)
        state, logs = jax.lax.scan(step, (*variables, metrics), batches)
        logs = jax.tree.map(lambda values: values[-1:], logs)
        if whole < len(order):
            state, logs = step(state, order[whole:])
        return state[:3], jax.tree.map(jnp.ravel, logs)

    def train_all(variables: Any, rows: Any, orders: Any) -> Any:
        variables, logs = jax.vmap(train_one)(variables, rows, orders)
        return variables, jax.tree.map(jnp.ravel, logs)

    return jax.jit(train_all)


def _stack(trees: Any) -> Any:
    """Return one tree of arrays like each of ``trees``, with a first axis for their number."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda *values: jnp.stack(values), *trees)


def _unstack(tree: Any) -> Any:
    """Return the list of trees that ``_stack`` made into ``tree``."""
    import jax

    count = len(jax.tree.leaves(tree)[0])
    return [jax.tree.map(lambda values: values[i], tree) for i in range(count)]  # noqa: B023
