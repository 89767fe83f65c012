"""Test vectors of docs/link_format.md: `python tests/support/link_vectors.py > docs/link_vectors.json`.

Margins, and what the definitions of the losses say of them in 60 digits; of the package only the names of a link.
"""

import json

import mpmath
from reference import DIGITS, truth

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, PowerCrossEntropy
from gbm_focal.link import Link

MARGINS = [-80, -30, -12.5, -5, -3, -2.9375, -1, -0.125, 0.0625, 0.5, 2, 7, 15, 36, 80]
ROWS = [
    [0, 0.125, -0.25],
    [1, -2, 0.5],
    [-80, 80, 0],
    [3, 3.125, -40],
    [-9, -7, -8],
    [0, 30, 30.5],
    [40, -40, -41],
    [5, 0, 12],
]

LINKS = [
    Link(FocalLoss(2), (0.0,)),
    Link(FocalLoss(2, 0.9), (0.25,)),
    Link(FocalLoss(0.5), (-0.375,)),
    Link(FocalLoss(12), (0.0,)),
    Link(BalancedCrossEntropy(0.98), (0.0,)),
    Link(BalancedCrossEntropy(None), (0.0,)),
    Link(AsymmetricLoss(), (0.5,)),
    Link(AsymmetricLoss(1, 0.5, 0.2, 0.3), (0.0,)),
    Link(AsymmetricLoss(0.5, 2.5, 0), (0.0,)),
    Link(PowerCrossEntropy(2), (-0.25,)),
    Link(PowerCrossEntropy(0.5, 0.6), (0.0,)),
    Link(FocalLoss(2, 0.95), (-1.5,), "binary", (0.05,), (0.01,), alpha_follows_base_rate=True),
    Link(FocalLoss(2, 0.95), (-1.5,), "binary", (0.05,), (0.01,)),
    Link(FocalLoss(1.5, (0.9, 0.5, 0.75)), (0.0, 0.5, -1.0), "multilabel"),
    Link(AsymmetricLoss(), (0.25,), "multilabel"),
    Link(FocalLoss(2), (0.0, 0.0, 0.0), "multiclass"),
    Link(FocalLoss(2, (0.2, 0.3, 0.5)), (0.5, -0.25, -0.25), "multiclass"),
    Link(FocalLoss(0.5, (0.2, 3, 1)), (0.5, 0.0, -0.5), "multiclass", (0.5, 0.3, 0.2), (0.8, 0.15, 0.05), True),
    Link(BalancedCrossEntropy((0.1, 0.3, 0.6)), (0.0,), "multiclass"),
    Link(AsymmetricLoss(1, 3, 0.05, (0.4, 0.7, 0.9)), (0.0, 0.5, -0.5), "multiclass"),
    Link(PowerCrossEntropy(2), (0.0,), "multiclass", (0.5, 0.3, 0.2), (0.8, 0.15, 0.05)),
]
FAMILIES = {
    FocalLoss: lambda loss: ("focal", (loss.gamma,)),
    BalancedCrossEntropy: lambda loss: ("focal", (0,)),
    AsymmetricLoss: lambda loss: ("asymmetric", (loss.gamma_pos, loss.gamma_neg, loss.clip)),
    PowerCrossEntropy: lambda loss: ("power", (loss.power,)),
}


def in_columns(numbers, columns):
    return list(numbers) if isinstance(numbers, tuple) and len(numbers) > 1 else [*(numbers or [None])] * columns


def posterior_of_classes(loss, row, alpha):
    """Of classes, up to a factor, which is where the expected loss has no slope."""
    if not loss.has_softmax:
        return [truth(*FAMILIES[type(loss)](loss), z, a).posterior for z, a in zip(row, alpha, strict=True)]
    _, (gamma,) = FAMILIES[type(loss)](loss)
    odds = [mpmath.exp(z) for z in row]
    of_class = []
    for one, weight in zip(odds, alpha, strict=True):
        p = one / mpmath.fsum(odds)
        slope = mpmath.diff(lambda p: -((1 - p) ** mpmath.mpf(gamma)) * mpmath.log(p), p)
        of_class.append(-1 / slope / (1 if weight is None else weight))
    return of_class


def evaluated(link, row):
    """Probabilities and decision of a row."""
    loss, columns = link.loss, len(row)
    row = [mpmath.mpf(z) for z in row]
    alpha = in_columns(loss.alpha if isinstance(loss.alpha, tuple) else (loss.alpha,), columns)
    shift = [mpmath.mpf(number) for number in in_columns(link.shift, columns)]
    following = [mpmath.mpf(0)] * columns
    joint = link.kind == "multiclass"
    if link.alpha_follows_base_rate:
        of_rate = mpmath.log if joint else lambda rate: mpmath.log(rate / (1 - mpmath.mpf(rate)))
        following = [of_rate(b) - of_rate(t) for b, t in zip(link.base_rate, link.trained_base_rate, strict=True)]
    if not joint:
        eta = [truth(*FAMILIES[type(loss)](loss), z, a).posterior for z, a in zip(row, alpha, strict=True)]
        odds = [one / (1 - one) for one in eta]
        probabilities = [one * mpmath.exp(s) / (1 + one * mpmath.exp(s)) for one, s in zip(odds, shift, strict=True)]
        ratio = [mpmath.mpf(1) if a is None else mpmath.mpf(a) / (1 - mpmath.mpf(a)) for a in alpha]
        decision = [one * mpmath.exp(s - d) * r for one, s, d, r in zip(odds, shift, following, ratio, strict=True)]
        return probabilities, [int(one > 1) for one in decision]
    posterior = posterior_of_classes(loss, row, alpha)

    def at(shift):
        odds = [one * mpmath.exp(s) for one, s in zip(posterior, shift, strict=True)]
        return [one / mpmath.fsum(odds) for one in odds]

    decision = at([s - d for s, d in zip(shift, following, strict=True)])
    if loss.alpha is not None:
        decision = [p * a if loss.has_softmax else p - (1 - a) for p, a in zip(decision, alpha, strict=True)]
    return at(shift), [decision.index(max(decision))]


def vectors():
    """Every link, with its margins, probabilities and decisions."""
    cases = []
    for link in LINKS:
        rows = [[z] for z in MARGINS] if link.kind == "binary" else ROWS
        with mpmath.workdps(DIGITS + 500):
            results = [evaluated(link, row) for row in rows]
        cases.append(
            {
                "link": json.loads(link.to_json()),
                "margins": rows,
                "probabilities": [[float(one) for one in probabilities] for probabilities, _ in results],
                "decisions": [decision for _, decision in results],
            }
        )
    return {"specification": "docs/link_format.md", "version": 1, "cases": cases}


def as_text():
    """A line for each link, so that differences can be read."""
    found = vectors()
    cases = ",\n".join(json.dumps(case) for case in found.pop("cases"))
    return json.dumps(found)[:-1] + f', "cases": [\n{cases}\n]}}\n'


if __name__ == "__main__":
    print(as_text(), end="")
