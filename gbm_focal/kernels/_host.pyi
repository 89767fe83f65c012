"""The compiled host kernel (module.cpp)."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

FAMILIES: dict[str, tuple[str, bool]]  # the name of each in losses.h, and whether it has powers
LARGEST_INTEGER_EXPONENT: int  # of powers that go by multiplication

class Losses:
    family: str
    parameters: list[float]
    positive_weight: list[float]
    negative_weight: list[float]
    offset: list[float]

    def __init__(
        self,
        family: str,
        parameters: Sequence[float],
        positive_weight: Sequence[float],
        negative_weight: Sequence[float],
        offset: Sequence[float],
    ) -> None: ...

def value(
    losses: Losses,
    y_true: NDArray[Any],
    margin: NDArray[Any],
    sample_weight: NDArray[Any] | None,
    out: NDArray[Any],
) -> bool: ...
def gradient_hessian(
    losses: Losses,
    y_true: NDArray[Any],
    margin: NDArray[Any],
    sample_weight: NDArray[Any] | None,
    gradient: NDArray[Any],
    hessian: NDArray[Any],
    exact: bool,
    max_step: float | None,
    softmax_factor: float,
) -> bool: ...
def posterior(losses: Losses, margin: NDArray[Any], out: NDArray[Any]) -> bool: ...
