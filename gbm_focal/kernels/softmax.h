// The loops of rows.h for the softmax losses: over a block of rows that lie class after class.
//
// A row is walked several times, because what a class gets depends on all others. Each pass is a loop over rows inside
// one over classes, and leaves its results in the block; the formulas are those of SoftmaxFocal in losses.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "losses.h"
#include "rows.h"

namespace gbm_focal {
namespace {

// One block of rows of K classes, and what is known of its rows. The arrays are a little longer than a power of two,
// because their elements of one row would otherwise compete for the same few lines of the cache.
template <class Real>
struct ClassBlock {
    static constexpr std::int64_t ROWS = 256;
    static_assert(ROWS <= BLOCK, "labels and weights come in blocks of arrays.h");
    using OfRows = Real[ROWS + 16];
    std::int64_t classes, rows, step;                      // rows <= ROWS; step from a class to the next
    std::vector<Real> z, relative, own, own_over_q, odds;  // class after class
    OfRows label;
    OfRows index, weight, largest, others, softplus;  // of the largest class
    OfRows inverse, inverse_others, n_over_q;
    OfRows slope_of_largest, own_of_largest;
    OfRows slope_of_truth, sum_of_odds, sum_of_others, scale;
    OfRows value, weight_of_truth, rest_of_truth, bend_of_truth;

    explicit ClassBlock(std::int64_t classes)
        : classes(classes),
          rows(std::clamp<std::int64_t>(2048 / classes, 16, ROWS)),
          step(rows + 16),
          z(classes * step),
          relative(z.size()),
          own(z.size()),
          own_over_q(z.size()),
          odds(z.size()) {}
};

// False if a margin is not finite.
template <class Real>
FOR_EACH_PROCESSOR bool find_largest(const double* weights, ClassBlock<Real>& b, std::int64_t n) {
    typename Format<Real>::Bits invalid = 0;
    std::fill(b.largest, b.largest + n, -Format<Real>::LARGEST);
    std::fill(b.index, b.index + n, Real(0));
    for (std::int64_t k = 0; k < b.classes; ++k) {
        const Real* __restrict z = b.z.data() + k * b.step;
        for (std::int64_t i = 0; i < n; ++i) {
            invalid |= row_is_valid(Real(0), z[i]) ? 0u : 1u;
            b.index[i] = choose(z[i] > b.largest[i], Real(k), b.index[i]);
            b.largest[i] = maximum(z[i], b.largest[i]);
        }
    }
    for (std::int64_t i = 0; i < n; ++i)
        b.weight[i] = static_cast<Real>(weights[static_cast<std::int64_t>(b.index[i])]);
    return invalid == 0;
}

template <class Loss, class Real>
GBM_FOCAL_FUNCTION typename Loss::Row row_of(const ClassBlock<Real>& b, std::int64_t i) {
    return typename Loss::Row(b.largest[i], b.others[i], b.softplus[i], b.inverse[i], b.inverse_others[i],
                              b.n_over_q[i]);
}

template <class Loss, class Real>
GBM_FOCAL_FUNCTION typename Loss::Class class_of(const ClassBlock<Real>& b, Real z, Real relative, Real k,
                                                 std::int64_t i) {
    const auto row = row_of<Loss>(b, i);
    return typename Loss::Class(row, b.index[i] == k, z, relative);
}

template <class Loss, class Real>
FOR_EACH_PROCESSOR void sum_exponentials(const Loss&, ClassBlock<Real>& b, std::int64_t n) {
    std::fill(b.others, b.others + n, Real(0));
    for (std::int64_t k = 0; k < b.classes; ++k) {
        const Real* __restrict z = b.z.data() + k * b.step;
        Real* __restrict relative = b.relative.data() + k * b.step;
        for (std::int64_t i = 0; i < n; ++i) {
            relative[i] = Loss::relative(z[i], b.largest[i]);
            b.others[i] += choose(b.index[i] == Real(k), Real(0), relative[i]);
        }
    }
    for (std::int64_t i = 0; i < n; ++i) {
        const typename Loss::Row row(b.largest[i], b.others[i]);
        b.softplus[i] = row.softplus;
        b.inverse[i] = row.inverse;
        b.inverse_others[i] = row.inverse_others;
        b.n_over_q[i] = row.n_over_q;
    }
}

// Slopes, curvatures and odds of all classes, first of the largest one of each row.
template <class Loss, class Real>
FOR_EACH_PROCESSOR void find_slopes(const Loss& loss, const double* weights, ClassBlock<Real>& b, std::int64_t n) {
    const Loss local = loss;
    FOR_INDEPENDENT_ROWS (std::int64_t i = 0; i < n; ++i) {
        const auto of = class_of<Loss>(b, b.largest[i], Real(1), b.index[i], i);
        const auto slopes = local.slopes_of_largest(row_of<Loss>(b, i), of, b.weight[i]);
        b.slope_of_largest[i] = slopes.slope;
        b.own_of_largest[i] = slopes.own;
        b.sum_of_odds[i] = b.sum_of_others[i] = Real(0);
    }
    for (std::int64_t k = 0; k < b.classes; ++k) {
        const Real *__restrict z = b.z.data() + k * b.step, *__restrict relative = b.relative.data() + k * b.step;
        Real *__restrict own = b.own.data() + k * b.step, *__restrict own_over_q = b.own_over_q.data() + k * b.step;
        Real* __restrict odds = b.odds.data() + k * b.step;
        Real *__restrict sum_of_odds = b.sum_of_odds, *__restrict sum_of_others = b.sum_of_others;
        Real* __restrict slope_of_truth = b.slope_of_truth;
        const Real w = static_cast<Real>(weights[k]);
        FOR_INDEPENDENT_ROWS (std::int64_t i = 0; i < n; ++i) {
            const auto of = class_of<Loss>(b, z[i], relative[i], Real(k), i);
            const auto slopes = local.slopes_of_other(of, w, relative[i], b.slope_of_largest[i]);
            own[i] = choose(of.is_largest, b.own_of_largest[i], slopes.own);
            own_over_q[i] = choose(of.is_largest, Real(0), slopes.own_over_q);
            const Real of_others = choose(of.is_largest, Real(0), slopes.odds);
            odds[i] = choose(of.is_largest, Real(1), of_others);
            sum_of_odds[i] += of_others;
            sum_of_others[i] += choose(of.is_largest, Real(0), slopes.own_over_q);
            const Real slope = choose(of.is_largest, b.slope_of_largest[i], slopes.slope);
            slope_of_truth[i] = choose(b.label[i] == Real(k), slope, slope_of_truth[i]);
        }
    }
    for (std::int64_t i = 0; i < n; ++i)
        b.scale[i] = b.slope_of_largest[i] * (Real(1) + b.others[i]) / (Real(1) + b.sum_of_odds[i]);  // S
}

template <class Loss, class Real>
FOR_EACH_PROCESSOR void class_fisher(const Loss&, HessianBound<Real> bound, Real factor, const ClassBlock<Real>& b,
                                     std::int64_t k, const Real* __restrict w, Real* __restrict gradient,
                                     Real* __restrict hessian, std::int64_t n) {
    const Real *__restrict z = b.z.data() + k * b.step, *__restrict relative = b.relative.data() + k * b.step;
    const Real *__restrict own = b.own.data() + k * b.step, *__restrict own_over_q = b.own_over_q.data() + k * b.step;
    for (std::int64_t i = 0; i < n; ++i) {
        const auto of = class_of<Loss>(b, z[i], relative[i], Real(k), i);
        const Real bare = Loss::fisher(of, own[i], own_over_q[i], b.sum_of_others[i], b.own_of_largest[i]);
        const Real first = w[i] * b.slope_of_truth[i] * (b.label[i] == Real(k) ? -of.q : of.p);
        gradient[i] = first;
        hessian[i] = bound.raise(first, w[i] * factor * b.scale[i] * bare);
    }
}

// The value, and what the exact Hessian needs of the true class.
template <class Loss, class Real>
FOR_EACH_PROCESSOR void find_truth(const Loss& loss, const double* weights, ClassBlock<Real>& b, std::int64_t n) {
    const Loss local = loss;
    for (std::int64_t k = 0; k < b.classes; ++k) {
        const Real *__restrict z = b.z.data() + k * b.step, *__restrict relative = b.relative.data() + k * b.step;
        const Real w = static_cast<Real>(weights[k]);
        for (std::int64_t i = 0; i < n; ++i) {
            const auto of = class_of<Loss>(b, z[i], relative[i], Real(k), i);
            const bool truth = b.label[i] == Real(k);
            const Real power = w * local.power(of);
            b.value[i] = choose(truth, finite(power * of.n), b.value[i]);
            b.rest_of_truth[i] = choose(truth, of.is_largest ? Real(0) : of.q, b.rest_of_truth[i]);
            b.bend_of_truth[i] = choose(truth, power * local.bend(of), b.bend_of_truth[i]);
            b.weight_of_truth[i] = choose(truth, w, b.weight_of_truth[i]);
        }
    }
}

template <class Loss, class Real>
FOR_EACH_PROCESSOR void class_exact(const Loss& loss, HessianBound<Real> bound, const ClassBlock<Real>& b,
                                    std::int64_t k, const Real* __restrict w, Real* __restrict gradient,
                                    Real* __restrict hessian, std::int64_t n) {
    const Loss local = loss;
    const Real *__restrict z = b.z.data() + k * b.step, *__restrict relative = b.relative.data() + k * b.step;
    for (std::int64_t i = 0; i < n; ++i) {
        const auto of = class_of<Loss>(b, z[i], relative[i], Real(k), i);
        const bool truth = b.label[i] == Real(k);
        const bool truth_is_largest = b.rest_of_truth[i] == Real(0);
        const Real rest = truth_is_largest ? Real(1) : b.rest_of_truth[i];
        const Real p_over_rest = truth_is_largest ? of.p_over_others : of.p / rest;
        const Real of_other = Loss::exact_of_other(of, p_over_rest, b.slope_of_truth[i], b.bend_of_truth[i]);
        const Real first = w[i] * b.slope_of_truth[i] * (truth ? -of.q : of.p);
        gradient[i] = first;
        hessian[i] =
            bound.raise(first, w[i] * (truth ? b.weight_of_truth[i] * local.exact_of_truth(of) : of_other));
    }
}

template <class Real>
FOR_EACH_PROCESSOR void class_posterior(const ClassBlock<Real>& b, std::int64_t k, Real* __restrict posterior,
                                        std::int64_t n) {
    const Real* __restrict odds = b.odds.data() + k * b.step;
    for (std::int64_t i = 0; i < n; ++i) posterior[i] = odds[i] / (Real(1) + b.sum_of_odds[i]);
}

}  // namespace
}  // namespace gbm_focal
