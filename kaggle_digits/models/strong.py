"""Networks for the best score per minute: every multiply-add has to earn its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kaggle_digits.data.digits import SIDE
from kaggle_digits.models.backend import keras
from kaggle_digits.models.dct import dct_layer
from kaggle_digits.models.straighten import evened, upright

# 0.99 settles too slowly for trainings of a few hundred steps.
MOMENTUM = 0.9
# Pixels left out at each side: the competition's digits stand in the middle 20 × 20, so what is
# there is background, and a quarter of all multiply-adds.
MARGIN = 2


def strong(*, widths: Sequence[int] = (24, 48, 96, 128), dropout: float = 0.0) -> Any:
    """Fixed 5 × 5 waves, 3 × 3 convolutions, two a size, then a layer over all that is left.

    Args:
        widths: waves (an even number), filters at 10 × 10 (two convolutions), at 5 × 5 (two),
            units of the last layer.
        dropout: before the logits.
    """
    k = keras()
    waves, large, small, last = widths
    return k.Sequential(
        [
            k.layers.Cropping2D(MARGIN),
            *_waves(waves),
            *_convolution(large, 3),
            *_convolution(large, 3, pool=True),
            *_convolution(small, 3),
            *_convolution(small, 3),
            *_all_that_is_left(last),
            *_logits(dropout),
        ]
    )


def strong_3x3(*, widths: Sequence[int] = (24, 48, 96, 128), dropout: float = 0.0) -> Any:
    """As ``strong``, its first layer learnt and the border filled in: slower.

    Args:
        widths: filters at 24 × 24 (one convolution), 12 × 12 (two), 6 × 6 (two), units of the last
            layer.
        dropout: before the logits.
    """
    return keras().Sequential(_learnt_layers(widths, dropout))


def strong_upright(*, widths: Sequence[int] = (24, 48, 96, 128), dropout: float = 0.0) -> Any:
    """As ``strong_3x3``, on digits whose slant is removed."""
    return _behind(upright, _learnt_layers(widths, dropout))


def strong_evened(*, widths: Sequence[int] = (24, 48, 96, 128), dropout: float = 0.0) -> Any:
    """As ``strong_3x3``, on digits that are upright and of one width."""
    return _behind(evened, _learnt_layers(widths, dropout))


def strong_5x5(*, widths: Sequence[int] = (24, 48, 96, 128), dropout: float = 0.0) -> Any:
    """5 × 5 convolutions, one a size, then a layer over all that is left."""
    k = keras()
    large, middle, small, last = widths
    return k.Sequential(
        [
            k.layers.Cropping2D(MARGIN),
            *_convolution(large, 5, pool=True),
            *_convolution(middle, 5, pool=True),
            *_convolution(small, 5),
            *_all_that_is_left(last),
            *_logits(dropout),
        ]
    )


def fast(*, widths: Sequence[int] = (20, 48, 96)) -> Any:
    """Fixed waves, one convolution, one dense layer; pooled before it is normalised.

    Args:
        widths: 5 × 5 waves (an even number), filters of the 3 × 3 convolution, units of the dense
            layer.
    """
    k = keras()
    first, second, units = widths
    return k.Sequential(
        [
            k.layers.Cropping2D(MARGIN),
            *_waves(first),
            *_convolution(second, 3, pool=True),
            *_all_that_is_left(units, "glorot_uniform"),
            k.layers.Dense(10, name="out"),
        ]
    )


def _learnt_layers(widths: Sequence[int], dropout: float) -> list[Any]:
    large, middle, small, last = widths
    return [
        keras().layers.Cropping2D(MARGIN),
        *_convolution(large, 3, pool=True),
        *_convolution(middle, 3),
        *_convolution(middle, 3, pool=True),
        *_convolution(small, 3),
        *_convolution(small, 3),
        *_all_that_is_left(last),
        *_logits(dropout),
    ]


def _all_that_is_left(units: int, initializer: str = "he_normal") -> list[Any]:
    """A convolution as large as the image, batch normalisation, relu.

    As a product of matrices it takes a quarter of a convolution's time.
    """
    k = keras()
    return [
        k.layers.Flatten(),
        k.layers.Dense(units, use_bias=False, kernel_initializer=initializer),
        k.layers.BatchNormalization(momentum=MOMENTUM),
        k.layers.ReLU(),
    ]


def _logits(dropout: float) -> list[Any]:
    k = keras()
    return [k.layers.Dropout(dropout), k.layers.Dense(10, name="out")]


def _behind(prepare: Callable[[Any], Any], layers: Sequence[Any]) -> Any:
    """A model of ``layers`` that see what ``prepare`` makes of the images."""
    k = keras()
    images = k.Input((SIDE, SIDE, 1))
    seen = prepare(images)
    for layer in layers:
        seen = layer(seen)
    return k.Model(images, seen)


def _waves(filters: int) -> list[Any]:
    """Fixed waves on the 24 × 24 middle, pooled to 10 × 10, normalised: nothing to learn in it."""
    k = keras()
    return [
        dct_layer(filters, SIDE - 2 * MARGIN),
        k.layers.MaxPooling2D(),
        k.layers.BatchNormalization(momentum=MOMENTUM, center=False, scale=False),
        k.layers.ReLU(),
    ]


def _convolution(filters: int, size: int, *, pool: bool = False) -> list[Any]:
    """Convolution, pooling, batch normalisation, relu.

    Pooling first costs a quarter of the normalising; batch normalisation brings the offset.
    """
    k = keras()
    return [
        k.layers.Conv2D(
            filters, size, padding="same", use_bias=False, kernel_initializer="he_normal"
        ),
        *([k.layers.MaxPooling2D()] if pool else []),
        k.layers.BatchNormalization(momentum=MOMENTUM),
        k.layers.ReLU(),
    ]
