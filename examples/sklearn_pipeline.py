"""FocalClassifier in scikit-learn: preprocessing, search, threshold, cross-validation, explanation.

    python examples/sklearn_pipeline.py

simulates 8,000 loans, of which about 4 % default, with missing values and categories; encodes them in a
ColumnTransformer; searches gamma and alpha of the loss and the depth of the trees by GridSearchCV; moves the threshold
to where the cost is least by TunedThresholdClassifierCV; and, if SHAP is installed, names the features that matter.
It takes about a minute. Needs: pip install "gbm_focal[all]"
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.compose import ColumnTransformer
from sklearn.metrics import average_precision_score, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier

from gbm_focal import FocalClassifier, FocalLoss

COST_OF_DEFAULT, COST_OF_REFUSAL = 20, 1  # of a loan that is granted and defaults; that is refused and would be paid


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8_000)
    options = parser.parse_args(argv)
    X, y = simulate(options.rows, seed=0)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

    # Numbers pass as they are, with their gaps: the engine finds the better side of a split for missing values.
    words = ["purpose", "home"]
    encoder = ColumnTransformer([("words", OneHotEncoder(), words)], remainder="passthrough")
    classifier = FocalClassifier(XGBClassifier(n_estimators=100, learning_rate=0.1, n_jobs=1), FocalLoss())
    pipeline = Pipeline([("encoder", encoder), ("classifier", classifier)])

    grid = {
        "classifier__loss__gamma": [0.0, 1.0, 2.0],
        "classifier__loss__alpha": [None, "balanced"],
        "classifier__estimator__max_depth": [2, 4],
    }
    search = GridSearchCV(pipeline, grid, scoring="average_precision", cv=3, n_jobs=2).fit(X_train, y_train)
    print(f"best of {len(search.cv_results_['params'])} combinations:")
    for name, value in search.best_params_.items():
        print(f"    {name.removeprefix('classifier__')} = {value}")

    best = search.best_estimator_
    probability = best.predict_proba(X_test)[:, 1]
    print(f"held-out average precision {average_precision_score(y_test, probability):.3f}")
    print(f"held-out log loss {log_loss(y_test, probability):.4f}, mean probability {probability.mean():.4f}")
    print(f"held-out share of defaults {y_test.mean():.4f}")
    scores = cross_val_score(best, X_train, y_train, cv=5, scoring="roc_auc")
    print(f"ROC AUC in 5-fold cross-validation {scores.mean():.3f} +- {scores.std():.3f}")

    scorer = make_scorer(cost, greater_is_better=False)
    tuned = TunedThresholdClassifierCV(best, scoring=scorer, cv=3, random_state=0).fit(X_train, y_train)
    print(f"\nthreshold of least cost {tuned.best_threshold_:.3f}, in theory {1 / (1 + COST_OF_DEFAULT):.3f}")
    for name, predicted in {
        "at that threshold": tuned.predict(X_test),
        "at 0.5": (probability > 0.5).astype(int),
        "granting all": np.zeros(len(y_test), int),
    }.items():
        print(f"    cost per loan {name:18} {cost(y_test, predicted):.3f}")
    explain(best, X_test)


def simulate(rows: int, seed: int) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Loans whose log-odds of default are a known function of income, debt, history and purpose."""
    random = np.random.default_rng(seed)
    income = random.lognormal(10.5, 0.5, rows)
    amount = random.lognormal(9.2, 0.8, rows)
    late_payments = random.poisson(0.4, rows)
    years_employed = random.exponential(6, rows)
    purpose = random.choice(["car", "house", "business", "holiday"], rows, p=[0.4, 0.3, 0.2, 0.1])
    home = random.choice(["own", "rent", "parents"], rows, p=[0.5, 0.4, 0.1])
    burden = amount / income
    log_odds = -5.2 + 1.5 * np.log1p(2 * burden) + 0.9 * late_payments + 0.8 * (purpose == "business") * (burden > 0.4)
    log_odds = log_odds + 0.7 * (home == "rent") - 0.08 * np.minimum(years_employed, 10)
    features = pd.DataFrame(
        {
            "income": np.where(random.random(rows) < 0.1, np.nan, income),  # not everyone says
            "amount": amount,
            "late_payments": late_payments,
            "years_employed": years_employed,
            "purpose": purpose,
            "home": home,
        }
    )
    return features, (random.random(rows) < expit(log_odds)).astype(np.int64)


def cost(y_true: NDArray[np.int64], y_predicted: NDArray[np.int64]) -> float:
    """Mean cost per loan of refusing those that are predicted to default."""
    lost = COST_OF_DEFAULT * ((y_true == 1) & (y_predicted == 0))
    refused = COST_OF_REFUSAL * ((y_true == 0) & (y_predicted == 1))
    return float(np.mean(lost + refused))


def explain(pipeline: Pipeline, X: pd.DataFrame) -> None:
    """SHAP values of the fitted engine: they sum to the margin, intercept included."""
    try:
        import shap
    except ImportError:
        print("\nSHAP is not installed, so there is no explanation: pip install shap")
        return
    encoder, classifier = pipeline.named_steps["encoder"], pipeline.named_steps["classifier"]
    values = shap.TreeExplainer(classifier.estimator_).shap_values(encoder.transform(X))
    names = [name.partition("__")[2] for name in encoder.get_feature_names_out()]
    print("\nmean |SHAP value| of the margin:")
    for size, name in sorted(zip(np.abs(values).mean(axis=0), names, strict=True), reverse=True)[:5]:
        print(f"    {size:.3f}  {name}")


if __name__ == "__main__":
    main()
