"""Whatever goes into a loss: a finite result of the right shape and type, or an error of ours.

A hundred inputs to each of nine functions by default; a million with::

    HYPOTHESIS_PROFILE=million pytest -n 0 tests/losses/test_any_input.py
"""

import contextlib
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

import gbm_focal
from gbm_focal import (
    AsymmetricLoss,
    BalancedCrossEntropy,
    ConstantSchedule,
    CosineSchedule,
    FocalLoss,
    LinearSchedule,
    Loss,
    PowerCrossEntropy,
)

PACKAGE = str(Path(gbm_focal.__file__).parent)

EXTREMES = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-3, -3.0, 17.0, 36.8, -40.0, 87.5, -88.1, 104.0, 710.0, -745.2, 1e4, -1e4),
    *(1e-9, 1e-38, 1e-45, 5e-324, 2.2250738585072014e-308, 3.4028234e38, -3.4028236e38, 1e300, -1.7976931348623157e308),
    *(1 - 2**-53, 1 - 2**-24, 1 + 2**-23, float("inf"), float("-inf"), float("nan")),
)
ODD = (
    None,
    "2",
    "",
    True,
    np.bool_(False),
    1j,
    [],
    [1.0, 2.0],
    {},
    np.float32(0.5),
    np.array(2),
    object,
    10**400,
    2**63,
)
WORDS = ("balanced", "effective", "Balanced", b"balanced")

# Values that bytes stand for.
LABELS = np.resize([0.0, 1.0], 256)
CLASSES = np.resize(np.arange(4.0), 256)
MARGINS = np.concatenate([np.linspace(-80, 80, 200), np.linspace(-1e4, 1e4, 56)])
WEIGHTS = np.linspace(0, 4, 256)
ANY = np.concatenate([LABELS[:80], CLASSES[:20], MARGINS[::2], np.resize(EXTREMES, 28)])
TYPES = ("f4", "f8", "f2", ">f4", ">f8", "i1", "u1", "i8", "?", "g", "c16", "O", "U3", "M8[s]", "m8[s]", "S1", "V4")
CONTAINERS = (
    lambda array: array,
    lambda array: array.tolist(),
    np.asfortranarray,
    lambda array: np.repeat(array, 2, axis=0)[::2] if array.ndim else array,
    lambda array: array[::-1] if array.ndim else array,
    lambda array: np.ma.masked_array(array),
    lambda array: pd.Series(array) if array.ndim == 1 else pd.DataFrame(array) if array.ndim == 2 else array,
)


class Input:
    """A loss, arrays and keywords that bytes stand for: hypothesis draws them at once, which is ten times as fast."""

    def __init__(self, drawn):
        self.drawn, self.at = drawn, 0
        sound = self.choice((True, False))
        self.loss = self.sound_loss() if sound else self.any_loss()
        self.y, self.z, self.w = self.arrays(sound)
        self.hessian = self.choice(("fisher", "exact") if sound else ("fisher", "exact", "Fisher", None))
        self.max_step = self.choice((None, 2.0, 1e-6, 1e3) if sound else (None, self.parameter()))

    def __repr__(self):
        return f"{self.loss!r}, y={self.y!r}, z={self.z!r}, w={self.w!r}, {self.hessian!r}, {self.max_step!r}"

    def bytes(self, number):
        """The next bytes, from the first again where they end."""
        at, self.at = self.at, self.at + number
        return bytes(self.drawn[place % len(self.drawn)] for place in range(at, self.at))

    def choice(self, choices):
        return choices[self.bytes(1)[0] % len(choices)]

    def between(self, low, high):
        return low + (high - low) * int.from_bytes(self.bytes(4), "big") / 2**32

    def sound_loss(self):
        alpha = self.choice((None, 0.5, "balanced", self.between(1e-6, 1 - 1e-6)))
        gamma, other, clip = (
            self.between(0, 50),
            self.between(0, 5),
            self.choice((0, 0.05, self.between(1e-9, 0.999999))),
        )
        return self.choice(
            (
                FocalLoss(gamma, alpha),
                FocalLoss(other, alpha),
                AsymmetricLoss(other, gamma, clip, alpha),
                AsymmetricLoss(gamma, other, clip, alpha),
                PowerCrossEntropy(0.001 + gamma, alpha),
                BalancedCrossEntropy(alpha),
            )
        )

    def any_loss(self):
        first, second, third = self.scheduled(), self.scheduled(), self.scheduled()
        several = tuple(self.parameter() for _ in range(self.choice(range(5))))
        alpha = self.choice((None, self.choice(WORDS), self.parameter(), several, list(several)))
        return self.choice(
            (
                FocalLoss(first, alpha),
                AsymmetricLoss(first, second, third, alpha),
                PowerCrossEntropy(first, alpha),
                BalancedCrossEntropy(alpha),
            )
        )

    def parameter(self):
        return self.choice(
            (
                self.between(0, 6),
                self.between(0, 1),
                self.choice(EXTREMES),
                self.choice(ODD),
                np.frombuffer(self.bytes(8), np.float64)[0],
            )
        )

    def scheduled(self):
        start, end, rounds = self.parameter(), self.parameter(), self.choice((1, 4, 9, self.parameter()))
        schedules = (LinearSchedule(start, end, rounds), CosineSchedule(start, end, rounds), ConstantSchedule(start))
        return self.choice((start, end, self.between(0, 6), self.choice(schedules)))

    def arrays(self, sound):
        """Labels, margins and weights, whose shapes most often belong together."""
        n = self.choice((1, 2, 3, 4, 5, 17) if sound else (0, 1, 3, 20))
        columns = self.choice((1, 2, 3, 4))
        forms = ("binary", "labels", "classes") if sound else ("binary", "labels", "classes", "scalar", "cube", "odd")
        form = self.choice(forms)
        y_shape, z_shape = {
            "binary": ((n,), (n,)),
            "labels": ((n, columns), (n, columns)),
            "classes": ((n,), (n, columns)),
            "scalar": ((), ()),
            "cube": ((n, 1, 2), (n, 1, 2)),
            "odd": ((n,), (n + 1,)),
        }[form]
        y = self.array(y_shape, np.minimum(CLASSES, columns - 1) if form == "classes" else LABELS, sound)
        z = self.array(z_shape, MARGINS, sound)
        return y, z, self.choice((None, self.array((n,), WEIGHTS, sound)))

    def array(self, shape, values, sound):
        """An array of values that fit or of any, in any type and container."""
        fitting = sound or self.choice((True, False))
        array = (values if fitting else ANY)[list(self.bytes(int(np.prod(shape))))].reshape(shape)
        if sound:
            return array.astype(self.choice(TYPES[:5]))
        with np.errstate(all="ignore"), contextlib.suppress(TypeError, ValueError):
            array = array.astype(self.choice(TYPES))
        return self.choice(CONTAINERS)(array) if array.dtype.kind in "fiubcOg" else array


def check(result, shape, dtype, low=-np.inf, high=np.inf):
    assert isinstance(result, np.ndarray)
    assert (result.shape, result.dtype) == (shape, dtype)
    assert np.isfinite(result).all()
    assert np.all((low <= result) & (result <= high))


def type_of(z):
    """Type of results beside these margins."""
    dtype = np.asarray(z).dtype
    return np.float32 if dtype == np.float32 and dtype.isnative else np.float64


def value(one):
    check(one.loss.value(one.y, one.z, one.w), np.shape(one.y), type_of(one.z), low=0)


def gradient_hessian(one):
    for derivative in one.loss.gradient_hessian(one.y, one.z, one.w, hessian=one.hessian, max_step=one.max_step):
        check(derivative, np.shape(one.z), type_of(one.z))


def posterior(one):
    check(one.loss.posterior(one.z), np.shape(one.z), type_of(one.z), 0, 1)


def posterior_of_classes(one):
    rows = one.loss.posterior(one.z, multiclass=True)
    check(rows, np.shape(one.z), type_of(one.z), 0, 1)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)


def log_odds(one):
    check(one.loss.log_odds(one.z), np.shape(one.z), np.float64)


def intercept(one):
    assert np.isfinite(one.loss.intercept(one.y, one.w)).all()


def resolve(one):
    resolved = one.loss.resolve(one.y, one.w)
    assert type(resolved) is type(one.loss)
    assert resolved.alpha is None or np.isfinite(resolved.alpha).all()


def at_round(one):
    assert not one.loss.at_round(3).is_scheduled


def as_json(one):
    text = one.loss.to_json()
    assert Loss.from_json(text).to_json() == text


USES = (value, gradient_hessian, posterior, posterior_of_classes, log_odds, intercept, resolve, at_round, as_json)


@given(st.binary(min_size=150, max_size=150).map(Input))
def test_a_finite_result_or_an_error_of_ours(one):
    for use in USES:
        try:
            use(one)
        except (ValueError, TypeError) as error:
            require_ours(error)


def require_ours(error):
    """The last to have a say is this package, and it says something."""
    frame, _ = list(traceback.walk_tb(error.__traceback__))[-1]
    assert frame.f_code.co_filename.startswith(PACKAGE), repr(error)
    assert len(str(error)) > 20
