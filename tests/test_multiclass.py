"""The losses of K classes: against arbitrary precision, and in both engines."""

import itertools

import mpmath
import numpy as np
import pytest
from problems import run_in_new_process
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss
from test_losses import NumpyFocalLoss

from gbm_focal import AsymmetricLoss, BalancedCrossEntropy, FocalLoss, PowerCrossEntropy
from gbm_focal.losses import ClassTotals

TOLERANCE = {np.float64: 1e-13, np.float32: 2e-6}
WEIGHTS = (0.7, 3.0, 1.0, 0.02)


def truth(gamma, weights, z, label):
    """Value, gradient and exact second derivatives of one row, from the definition, by mpmath's own derivatives.

    The terms of the second derivatives are those of the product rule, whose magnitudes say what rounding may cost.
    """
    z = [mpmath.mpf(float(x)) for x in z]
    total = sum(mpmath.exp(x - max(z)) for x in z)
    p = [mpmath.exp(x - max(z)) / total for x in z]
    q = [sum(p[:k] + p[k + 1 :]) for k in range(len(z))]
    n = [-mpmath.log(x) for x in p]
    w, g, t = mpmath.mpf(weights[label]), mpmath.mpf(gamma), label

    def power(x, exponent):
        return mpmath.mpf(1) if exponent == 0 else x**exponent

    value = w * power(q[t], g) * n[t]
    # f(p) = (1 - p)^g (-log p); d p_t / d z_k = p_t ([k = t] - p_k)
    first = -(g * power(q[t], g) / q[t] * n[t] + power(q[t], g) / p[t])
    second = (
        g * (g - 1) * power(q[t], g) / q[t] ** 2 * n[t]
        + 2 * g * power(q[t], g) / (q[t] * p[t])
        + power(q[t], g) / p[t] ** 2
    )
    gradient, hessian, terms = [], [], []
    for k in range(len(z)):
        delta = mpmath.mpf(1 if k == t else 0)
        difference = q[k] if k == t else -p[k]
        slope = p[t] * difference
        bend = p[t] * (difference**2 - p[k] * q[k])
        gradient.append(w * first * slope)
        hessian.append(w * (second * slope**2 + first * bend))
        terms.append(w * (abs(second) * slope**2 + abs(first) * p[t] * (difference**2 + p[k] * q[k])) + 0 * delta)
    return value, gradient, hessian, terms


def truth_of_posterior(gamma, weights, z):
    """Posterior, and the diagonal of the expected second derivatives at it."""
    classes = range(len(z))
    rows = [truth(gamma, weights, z, t) for t in classes]
    z = [mpmath.mpf(float(x)) for x in z]
    total = sum(mpmath.exp(x - max(z)) for x in z)
    p = [mpmath.exp(x - max(z)) / total for x in z]
    q = [sum(p[:k] + p[k + 1 :]) for k in classes]
    g = mpmath.mpf(gamma)
    odds = [
        p[k] / (mpmath.mpf(weights[k]) * ((q[k] ** g if g else 1) + (g * q[k] ** (g - 1) * p[k] * -mpmath.log(p[k]))))
        for k in classes
    ]
    eta = [x / sum(odds) for x in odds]
    return eta, [sum(eta[t] * rows[t][2][k] for t in classes) for k in classes]


def margins_of_rows(dtype):
    random = np.random.default_rng(0)
    rows = [
        *random.normal(0, 1, (6, 4)),
        *random.normal(0, 6, (8, 4)),
        *random.normal(0, 30, (6, 4)),
        [0, 0, 0, 0],
        [5, 5, -5, -5],
        [1e-3, 0, 0, 1e-8],
        [80, 0, -3, 2],
        [-700, -701, -702, -650],
        [1e4, 9990, 9980, 1e4 - 45],
        [30, 30, -30, -60],
        [1234.567, 1230.123, 1222.2, 1200.01],
    ]
    return np.array(rows, dtype)


def assert_close(computed, true, scale, dtype, label):
    for got, want, size in zip(computed, true, scale, strict=True):
        if abs(size) < float(np.finfo(dtype).tiny) * 1e3:
            assert abs(got) <= 1.01e3 * float(np.finfo(dtype).tiny), (label, got, want)
        else:
            assert abs(mpmath.mpf(float(got)) - want) <= TOLERANCE[dtype] * abs(size), (label, got, want)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 2.5, 5])
def test_softmax_is_exact_to_rounding(gamma, weights, dtype):
    loss = FocalLoss(gamma, alpha=weights)
    for z in margins_of_rows(dtype):
        with mpmath.workdps(60 + int(min(1000, z.max() - z.min()))):
            w = weights or (1, 1, 1, 1)
            eta, fisher = truth_of_posterior(gamma, w, z)
            assert_close(loss.posterior(z[None], multiclass=True)[0], eta, eta, dtype, "posterior")
            for t in range(4):
                value, gradient, exact, terms = truth(gamma, w, z, t)
                assert_close(loss.value([t], z[None]), [value], [value], dtype, "value")
                first, second = loss.gradient_hessian([t], z[None])
                assert first.dtype == second.dtype == dtype
                assert_close(first[0], gradient, gradient, dtype, "gradient")
                assert_close(second[0], fisher, fisher, dtype, "fisher")
                first, second = loss.gradient_hessian([t], z[None], hessian="exact")
                assert_close(first[0], gradient, gradient, dtype, "gradient beside exact")
                assert_close(second[0], exact, terms, dtype, "exact")


def test_reference_agrees_with_numerical_derivatives():
    z = [0.3, -1.2, 2.0]
    for gamma, t in itertools.product((0, 0.5, 2), range(3)):
        with mpmath.workdps(50):
            value, gradient, hessian, _ = truth(gamma, (1, 2, 3), z, t)
            for k in range(3):

                def at(x, k=k, t=t, gamma=gamma):
                    return truth(gamma, (1, 2, 3), [*map(mpmath.mpf, z[:k]), x, *map(mpmath.mpf, z[k + 1 :])], t)[0]

                # float() in truth() would round the step away
                step = 1e-4
                up, down = at(z[k] + step), at(z[k] - step)
                assert abs((up - down) / (2 * step) - gradient[k]) < 1e-6
                assert abs((up - 2 * value + down) / step**2 - hessian[k]) < 1e-5


@pytest.mark.parametrize(
    "loss", [FocalLoss(2), FocalLoss(0.5, (1, 4, 0.3)), FocalLoss(5), BalancedCrossEntropy(None)], ids=repr
)
def test_posterior_undoes_minimisation(loss):
    for eta in ([0.7, 0.2, 0.1], [0.98, 0.019, 0.001], [0.4, 0.4, 0.2]):

        def risk(z, eta=eta):
            return sum(share * loss.value([t], z[None])[0] for t, share in enumerate(eta))

        def slope(z, eta=eta):
            return sum(share * loss.gradient_hessian([t], z[None])[0][0] for t, share in enumerate(eta))

        found = minimize(risk, np.log(eta), jac=slope, method="BFGS", options={"gtol": 1e-13, "maxiter": 1000})
        np.testing.assert_allclose(loss.posterior(found.x[None], multiclass=True)[0], eta, atol=1e-8)


def test_two_classes_are_the_binary_loss():
    z = np.random.default_rng(0).normal(size=(50, 2)) * 3
    y = np.arange(50) % 2
    for gamma in (0, 0.5, 2):
        loss = FocalLoss(gamma)
        np.testing.assert_allclose(loss.value(y, z), loss.value(y, z[:, 1] - z[:, 0]), rtol=1e-12)
        np.testing.assert_allclose(
            loss.posterior(z, multiclass=True)[:, 1], loss.posterior(z[:, 1] - z[:, 0]), rtol=1e-12
        )
        for hessian in ("fisher", "exact"):
            joint = loss.gradient_hessian(y, z, hessian=hessian)
            binary = loss.gradient_hessian(y, z[:, 1] - z[:, 0], hessian=hessian)
            for ours, theirs in zip(joint, binary, strict=True):
                np.testing.assert_allclose(ours[:, 1], theirs, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("classes", [3, 7, 600])
def test_many_classes_any_layout_and_weights(classes, order):
    random = np.random.default_rng(0)
    z = np.asarray(random.normal(size=(700, classes)), order=order)
    y, w = random.integers(classes, size=700), random.uniform(0, 2, 700)
    loss = FocalLoss(2, tuple(random.uniform(0.5, 2, classes)))
    gradient, hessian = loss.gradient_hessian(y, z, w, max_step=2)
    # The formulas again, in NumPy.
    logp = log_softmax(z, axis=1)
    p, n = np.exp(logp), -logp[np.arange(700), y]
    pt, weight = p[np.arange(700), y], w * np.array(loss.alpha)[y]
    np.testing.assert_allclose(loss.value(y, z, w), weight * (1 - pt) ** 2 * n, rtol=1e-9)
    slope = weight * (1 - pt) * (2 * pt * n + 1 - pt)
    np.testing.assert_allclose(gradient, slope[:, None] * (p - np.eye(classes)[y]), rtol=1e-9, atol=1e-15)
    assert np.all(np.abs(gradient) <= 2 * hessian * (1 + 1e-12))
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("loss", [AsymmetricLoss(), PowerCrossEntropy(3), NumpyFocalLoss(2.0)], ids=repr)
def test_one_versus_rest(loss):
    random = np.random.default_rng(0)
    z, y = random.normal(size=(300, 4)), random.integers(4, size=300)
    labels = (y[:, None] == np.arange(4)).astype(float)
    np.testing.assert_allclose(loss.value(y, z), loss.value(labels, z).sum(axis=1), rtol=1e-12)
    for ours, theirs in zip(loss.gradient_hessian(y, z), loss.gradient_hessian(labels, z), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    columns = loss.posterior(z)
    np.testing.assert_allclose(
        loss.posterior(z, multiclass=True), columns / columns.sum(axis=1, keepdims=True), rtol=1e-12
    )


def test_vanished_posteriors_are_still_probabilities():
    posterior = AsymmetricLoss().posterior(np.full((1, 3), -9e3), multiclass=True)
    np.testing.assert_allclose(posterior, 1 / 3)


@pytest.mark.parametrize(
    "loss", [FocalLoss(2), FocalLoss(0.5, "balanced"), FocalLoss(3, "effective"), AsymmetricLoss()], ids=repr
)
def test_intercept_and_scale(loss):
    random = np.random.default_rng(0)
    y, w = random.choice(4, 5000, p=[0.8, 0.15, 0.04, 0.01]), random.uniform(0.5, 2, 5000)
    rates = np.bincount(y, w) / w.sum()
    resolved = loss.resolve(y, w)
    intercept = loss.intercept(y, w)
    np.testing.assert_allclose(resolved.posterior(intercept[None], multiclass=True)[0], rates, rtol=1e-9)
    totals = ClassTotals.of(y, w)
    hessian = resolved.normalizers(totals) * resolved.gradient_hessian([0], intercept[None])[1][0]
    assert hessian.sum() == pytest.approx((rates * (1 - rates)).sum())


def test_class_weights():
    y = np.repeat([0, 1, 2], [60, 30, 10])
    np.testing.assert_allclose(FocalLoss(2, "balanced").resolve(y).alpha, np.array([1, 2, 6]) / 9)
    beta = 0.9
    effective = FocalLoss(2, "effective", beta=beta).resolve(y).alpha
    np.testing.assert_allclose(
        effective, (1 / (1 - beta ** np.array([60, 30, 10]))) / np.sum(1 / (1 - beta ** np.array([60, 30, 10])))
    )
    np.testing.assert_allclose(AsymmetricLoss(alpha="balanced").resolve(y).alpha, [0.4, 0.7, 0.9])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 3], np.zeros((2, 3))), r"y_true\[1\] is 3"),
        (([0, 1.5], np.zeros((2, 3))), r"y_true\[1\] is 1.5"),
        (([0, -1], np.zeros((2, 3))), r"y_true\[1\] is -1"),
        (([0, np.nan], np.zeros((2, 3))), r"y_true\[1\] is nan"),
        (([0, 1], np.array([[0, 1, np.inf], [0, 1, 2]])), r"margin\[0, 2\] is inf"),
        (([0, 1, 1], np.zeros((2, 3))), "shape"),
        (([0, 0], np.zeros((2, 1))), "a column for each class"),
        (([0, 0], np.zeros((2, 0))), "a column for each class"),
        (([0, 1], np.zeros((2, 3)), [1, -1]), r"sample_weight\[1\] is -1"),
    ],
)
@pytest.mark.parametrize("loss", [FocalLoss(2), AsymmetricLoss(), NumpyFocalLoss(2.0)], ids=repr)
def test_bad_input(loss, arguments, message):
    for method in (loss.value, loss.gradient_hessian):
        with pytest.raises(ValueError, match=message):
            method(*arguments)


def test_bad_parameters():
    z = np.zeros((2, 3))
    with pytest.raises(ValueError, match="at most 100"):
        FocalLoss(101).value([0, 1], z)
    with pytest.raises(ValueError, match="one weight for each"):
        FocalLoss(2, 0.5).value([0, 1], z)
    with pytest.raises(ValueError, match="2 numbers, but there are 3 classes"):
        FocalLoss(2, (1, 2)).value([0, 1], z)
    with pytest.raises(ValueError, match="still a word"):
        FocalLoss(2, "balanced").value([0, 1], z)
    with pytest.raises(ValueError, match="multiclass=True"):
        FocalLoss(2).posterior([0.0, 1.0], multiclass=True)


def test_extreme_margins_are_finite():
    z = np.array([[3e38, -3e38, 0], [1e30, 1e30, -1e30], [-3e38, -3e38, -3e38]], np.float32)
    for loss in (FocalLoss(2), FocalLoss(0.3), FocalLoss(0)):
        for label in range(3):
            for hessian in ("fisher", "exact"):
                for array in loss.gradient_hessian([label] * 3, z, hessian=hessian, max_step=2):
                    assert np.all(np.isfinite(array))
            assert np.all(np.isfinite(loss.value([label] * 3, z)))
        np.testing.assert_allclose(loss.posterior(z, multiclass=True).sum(axis=1), 1, rtol=1e-6)


# ---- in the engines ----


def classes_problem(n=6000, seed=0):
    """Four classes with known probabilities; the last two are rare."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 6))
    scores = np.column_stack([1.5 + 0 * X[:, 0], X[:, 0] + X[:, 1] * X[:, 2], X[:, 3] * 2 - 2, X[:, 4] + X[:, 0] - 2.5])
    eta = softmax(scores, axis=1)
    y = (random.random((n, 1)) > eta.cumsum(axis=1)).sum(axis=1)
    return X, y, random.uniform(0.5, 2, n), eta


def xgboost_model(loss, X, y, w=None, **kwargs):
    xgb = pytest.importorskip("xgboost")
    from gbm_focal.xgboost import predict_proba, train

    params = {"num_class": 4, "max_depth": 3, "nthread": 1}
    booster = train(params, xgb.DMatrix(X, y, weight=w), 20, loss=loss, **kwargs)
    return booster, lambda X: predict_proba(booster, xgb.DMatrix(X)), lambda X: booster.predict(xgb.DMatrix(X))


def lightgbm_model(loss, X, y, w=None, **kwargs):
    lgb = pytest.importorskip("lightgbm")
    from gbm_focal.lightgbm import predict_proba, train

    params = {"num_class": 4, "max_depth": 3, "num_threads": 1, "verbosity": -1}
    booster = train(params, lgb.Dataset(X, y, weight=w), 20, loss=loss, **kwargs)
    return booster, lambda X: predict_proba(booster, X), lambda X: booster.predict(X)


ENGINES = {"xgboost": xgboost_model, "lightgbm": lightgbm_model}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", [FocalLoss(2), AsymmetricLoss(), BalancedCrossEntropy()], ids=repr)
def test_trained_models_are_calibrated_in_the_large(engine, loss):
    X, y, w, eta = classes_problem()
    _, predict_proba, _ = ENGINES[engine](loss, X, y, w)
    probabilities = predict_proba(X)
    assert probabilities.shape == (6000, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.average(probabilities, axis=0, weights=w), np.bincount(y, w) / w.sum(), rtol=1e-3)
    X, y, _, eta = classes_problem(seed=1)
    assert log_loss(y, predict_proba(X)) < 1.15 * log_loss(y, eta)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("weighted", [False, True])
def test_gamma_0_is_the_native_objective(engine, weighted):
    X, y, w, _ = classes_problem()
    w = w if weighted else None
    start = FocalLoss(0).intercept(y, w)
    _, predict_proba, predict = ENGINES[engine](FocalLoss(0), X, y, w, max_step=None)
    if engine == "xgboost":
        xgb = pytest.importorskip("xgboost")
        params = {
            "num_class": 4,
            "max_depth": 3,
            "nthread": 1,
            "objective": "multi:softprob",
            "base_score": start.tolist(),
        }
        native = xgb.train(params, xgb.DMatrix(X, y, weight=w), 20).predict(xgb.DMatrix(X))
    else:
        lgb = pytest.importorskip("lightgbm")
        params = {"num_class": 4, "max_depth": 3, "num_threads": 1, "verbosity": -1, "objective": "multiclass"}
        native = lgb.train(params, lgb.Dataset(X, y, weight=w), 20).predict(X)
    np.testing.assert_allclose(predict_proba(X), native, atol=1e-5)
    np.testing.assert_allclose(predict(X), native, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", [FocalLoss(2, "balanced"), AsymmetricLoss()], ids=repr)
def test_saved_model_predicts_the_same_in_a_new_process(tmp_path, engine, loss):
    X, y, _, _ = classes_problem()
    booster, predict_proba, _ = ENGINES[engine](loss, X, y)
    booster.save_model(tmp_path / "model.json")
    np.save(tmp_path / "X.npy", X)
    run_in_new_process(
        f"import sys, numpy, {engine}, gbm_focal.{engine} as ours\n"
        f"booster = {engine}.Booster(model_file=sys.argv[1])\n"
        "X = numpy.load(sys.argv[2])\n"
        f"X = {'xgboost.DMatrix(X)' if engine == 'xgboost' else 'X'}\n"
        "numpy.save(sys.argv[3], ours.predict_proba(booster, X))",
        *(tmp_path / "model.json", tmp_path / "X.npy", tmp_path / "out.npy"),
    )
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), predict_proba(X), rtol=1e-12)


def test_lightgbm_saves_the_intercepts_of_all_classes():
    lgb = pytest.importorskip("lightgbm")
    X, y, _, _ = classes_problem()
    booster, _, _ = lightgbm_model(FocalLoss(2), X, y)
    first = lgb.Booster(model_str=booster.model_to_string(num_iteration=1)).predict(X, raw_score=True)
    intercept = FocalLoss(2).intercept(y)
    # One tree with learning rate 0.1 and steps of at most 2 stays within 0.2 of the intercept.
    assert np.all(np.abs(first - intercept) <= 0.2 + 1e-6)
    assert np.all(np.abs(intercept) > 0.3)


@pytest.mark.parametrize("engine", ENGINES)
def test_native_metrics_of_classes_are_refused(engine):
    X, y, _, _ = classes_problem(500)
    name = "eval_metric" if engine == "xgboost" else "metric"
    module = pytest.importorskip(f"gbm_focal.{engine}")
    native = pytest.importorskip(engine)
    data = native.DMatrix(X, y) if engine == "xgboost" else native.Dataset(X, y)
    with pytest.raises(ValueError, match="Metric\\(loss, 'neg_log_loss'\\)"):
        module.train({"num_class": 4, name: "auc"}, data, 2, loss=FocalLoss())
    data = native.DMatrix(X, y) if engine == "xgboost" else native.Dataset(X, y)
    with pytest.raises(ValueError, match="num_class=4 in params"):
        module.train({}, data, 2, loss=FocalLoss())


def test_early_stopping_on_a_scorer_in_both_engines():
    X, y, _, _ = classes_problem()
    X2, y2, _, _ = classes_problem(seed=1)
    xgb, lgb = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    import gbm_focal.lightgbm
    import gbm_focal.xgboost

    history: dict = {}
    booster = gbm_focal.xgboost.train(
        {"num_class": 4, "nthread": 1, "eta": 1.0},
        xgb.DMatrix(X, y),
        60,
        loss=FocalLoss(2),
        evals=[(xgb.DMatrix(X2, y2), "valid")],
        custom_metric=gbm_focal.xgboost.Metric(FocalLoss(2), "balanced_accuracy"),
        early_stopping_rounds=5,
        evals_result=history,
        verbose_eval=False,
    )
    scores = history["valid"]["neg_balanced_accuracy"]
    assert booster.best_iteration == int(np.argmin(scores))
    assert -1 <= min(scores) < max(scores) < 0
    history = {}
    booster = gbm_focal.lightgbm.train(
        {"num_class": 4, "num_threads": 1, "verbosity": -1, "learning_rate": 0.5},
        (data := lgb.Dataset(X, y)),
        60,
        loss=FocalLoss(2),
        valid_sets=[lgb.Dataset(X2, y2, reference=data)],
        feval=gbm_focal.lightgbm.Metric(FocalLoss(2), "neg_log_loss"),
        callbacks=[lgb.early_stopping(5, verbose=False), lgb.record_evaluation(history)],
    )
    scores = history["valid_0"]["neg_log_loss"]
    assert booster.best_iteration == int(np.argmax(scores)) + 1
