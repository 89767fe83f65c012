// The device kernels: which elements a thread takes, what it reads and where it writes.
//
// cuda.py compiles this header with NVRTC, one kernel for each loss and each combination of types that is asked for,
// and launches it once a call. All mathematics is in losses.h. Strides count elements; w may be null for weights
// of 1. A thread that meets an invalid row sets *invalid, and its results are not used.
//
// settings holds PARAMETER_SLOTS parameters of the family, then for each column the weight of the label 1, that of
// the label 0, and the number that is added to its margins.
#pragma once

#include "losses.h"

namespace gbm_focal {

using Index = long long;
constexpr Index PARAMETER_SLOTS = 8;

enum What { VALUE, FISHER, EXACT, POSTERIOR };

// The elements first, first + step, ... are this thread's.
struct Share {
    Index first, step;
    __device__ Share()
        : first(static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x),
          step(static_cast<Index>(gridDim.x) * blockDim.x) {}
};

template <class T>
struct Matrix {
    T* data;
    Index row_stride, column_stride;
    GBM_FOCAL_FUNCTION T& operator()(Index row, Index column) const {
        return data[row * row_stride + column * column_stride];
    }
};

// As on the host, the sum is that of doubles, rounded once.
template <class Real>
GBM_FOCAL_FUNCTION Real shifted(Real z, double offset) {
    return offset == 0 ? z : static_cast<Real>(static_cast<double>(z) + offset);
}

template <class Real>
GBM_FOCAL_FUNCTION bool is_class(Real label, Index classes) {
    return (label >= Real(0)) & (label < Real(classes)) & (label == Real(static_cast<Index>(label)));
}

// Losses of single margins: two classes, several labels a row, or classes one versus rest, where y holds one class a
// row. `first` gets the value, the gradient or the posterior.
template <What WHAT, class Loss, class Real, class Label, class Weight>
__global__ void each_margin(Index rows, Index columns, const double* settings, const Label* y,
                                  Index y_row_stride, Index y_column_stride, Index y_is_class, const Real* z,
                                  Index z_row_stride, Index z_column_stride, const Weight* w, Index w_stride, Real* first,
                                  Index first_row_stride, Index first_column_stride, Real* second,
                                  Index second_row_stride, Index second_column_stride, double inverse_max_step,
                                  double floor, double /*softmax_factor*/, int* invalid) {
    const double *positive = settings + PARAMETER_SLOTS, *negative = positive + columns, *offset = negative + columns;
    const HessianBound<Real> bound{static_cast<Real>(inverse_max_step), static_cast<Real>(floor)};
    const Matrix<const Label> labels{y, y_row_stride, y_column_stride};
    const Matrix<const Real> margins{z, z_row_stride, z_column_stride};
    const Matrix<Real> firsts{first, first_row_stride, first_column_stride};
    const Matrix<Real> seconds{second, second_row_stride, second_column_stride};
    // Neighbours in a group of threads take neighbours in memory.
    const bool rows_are_contiguous = z_column_stride * z_column_stride < z_row_stride * z_row_stride;
    Loss loss(settings, positive[0], negative[0]);
    const Share share;
    for (Index element = share.first; element < rows * columns; element += share.step) {
        Index row = element, column = 0;
        if (columns > 1) {
            row = rows_are_contiguous ? element / columns : element % rows;
            column = rows_are_contiguous ? element % columns : element / rows;
            loss.weight_positive = static_cast<Real>(positive[column]);
            loss.weight_negative = static_cast<Real>(negative[column]);
        }
        const Real margin = shifted(margins(row, column), offset[column]);
        Real label = Real(0), weight = Real(1);
        bool valid = true;
        if constexpr (WHAT != POSTERIOR) {
            label = static_cast<Real>(labels(row, column));
            if (y_is_class) {
                valid = is_class(label, columns);
                label = label == Real(column) ? Real(1) : Real(0);
            }
            if (w) weight = static_cast<Real>(w[row * w_stride]);
        }
        if (!(valid & row_is_valid(label, margin) & weight_is_valid(weight))) {
            *invalid = 1;
            continue;
        }
        const auto parts = parts_of(loss, margin);
        if constexpr (WHAT == VALUE) {
            firsts(row, column) = row_value(loss, label, margin, parts, weight);
        } else if constexpr (WHAT == POSTERIOR) {
            firsts(row, column) = row_posterior(loss, margin, parts);
        } else {
            const auto derivatives = row_derivatives<WHAT == EXACT>(loss, bound, label, margin, parts, weight);
            firsts(row, column) = derivatives.gradient;
            seconds(row, column) = derivatives.hessian;
        }
    }
}

// The softmax form: a thread takes a row and walks its classes four times. What a class contributes is computed
// again rather than kept, since K numbers a thread would go to memory. Values are one a row, first(row, 0).
template <What WHAT, class Loss, class Real, class Label, class Weight>
__global__ void each_row(Index rows, Index classes, const double* settings, const Label* y, Index y_row_stride,
                               Index /*y_column_stride*/, Index /*y_is_class*/, const Real* z, Index z_row_stride,
                               Index z_column_stride, const Weight* w, Index w_stride, Real* first, Index first_row_stride,
                               Index first_column_stride, Real* second, Index second_row_stride,
                               Index second_column_stride, double inverse_max_step, double floor,
                               double softmax_factor, int* invalid) {
    const double *class_weight = settings + PARAMETER_SLOTS, *offset = class_weight + 2 * classes;
    const HessianBound<Real> bound{static_cast<Real>(inverse_max_step), static_cast<Real>(floor)};
    const Matrix<const Real> margins{z, z_row_stride, z_column_stride};
    const Matrix<Real> firsts{first, first_row_stride, first_column_stride};
    const Matrix<Real> seconds{second, second_row_stride, second_column_stride};
    const Loss loss(settings);
    const Share share;
    for (Index row = share.first; row < rows; row += share.step) {
        const auto margin = [&](Index k) { return shifted(margins(row, k), offset[k]); };
        const auto weight_of = [&](Index k) { return static_cast<Real>(class_weight[k]); };
        Real label = Real(0), weight = Real(1);
        if constexpr (WHAT != POSTERIOR) {
            label = static_cast<Real>(y[row * y_row_stride]);
            if (w) weight = static_cast<Real>(w[row * w_stride]);
        }
        bool valid = is_class(label, classes) & weight_is_valid(weight);
        Index index = 0;
        Real largest = margin(0);
        for (Index k = 0; k < classes; ++k) {
            const Real of_class = margin(k);
            valid = valid & row_is_valid(Real(0), of_class);
            if (of_class > largest) {
                largest = of_class;
                index = k;
            }
        }
        if (!valid) {
            *invalid = 1;
            continue;
        }
        const Index truth = static_cast<Index>(label);
        Real others = Real(0);
        for (Index k = 0; k < classes; ++k)
            if (k != index) others += Loss::relative(margin(k), largest);
        const typename Loss::Row of_row(largest, others);
        const auto class_at = [&](Index k, Real relative) {
            return typename Loss::Class(of_row, k == index, margin(k), relative);
        };
        const auto relative_of = [&](Index k) { return k == index ? Real(1) : Loss::relative(margin(k), largest); };

        const auto of_truth = class_at(truth, relative_of(truth));
        const Real power_of_truth = weight_of(truth) * loss.power(of_truth);
        if constexpr (WHAT == VALUE) {
            firsts(row, 0) = finite(weight * finite(power_of_truth * of_truth.n));
            continue;
        }
        const auto of_largest = loss.slopes_of_largest(of_row, class_at(index, Real(1)), weight_of(index));
        const auto slopes_of = [&](Index k, const typename Loss::Class& of, Real relative) {
            return k == index ? of_largest : loss.slopes_of_other(of, weight_of(k), relative, of_largest.slope);
        };
        Real sum_of_odds = Real(0), sum_of_others = Real(0);
        for (Index k = 0; k < classes; ++k) {
            if (k == index) continue;
            const Real relative = relative_of(k);
            const auto slopes = slopes_of(k, class_at(k, relative), relative);
            sum_of_odds += slopes.odds;
            sum_of_others += slopes.own_over_q;
        }
        const Real slope_of_truth = slopes_of(truth, of_truth, relative_of(truth)).slope;
        const Real rest_of_truth = of_truth.is_largest ? Real(1) : of_truth.q;
        const Real bend_of_truth = power_of_truth * loss.bend(of_truth);
        const Real scale = of_largest.slope * (Real(1) + others) / (Real(1) + sum_of_odds);
        for (Index k = 0; k < classes; ++k) {
            const Real relative = relative_of(k);
            const auto of = class_at(k, relative);
            const auto slopes = slopes_of(k, of, relative);
            if constexpr (WHAT == POSTERIOR) {
                firsts(row, k) = slopes.odds / (Real(1) + sum_of_odds);
            } else {
                const Real gradient = weight * slope_of_truth * (k == truth ? -of.q : of.p);
                Real bare;
                if constexpr (WHAT == FISHER) {
                    bare = static_cast<Real>(softmax_factor) * scale *
                           Loss::fisher(of, slopes.own, slopes.own_over_q, sum_of_others, of_largest.own);
                } else {
                    const Real p_over_rest = of_truth.is_largest ? of.p_over_others : of.p / rest_of_truth;
                    bare = k == truth ? weight_of(truth) * loss.exact_of_truth(of)
                                      : Loss::exact_of_other(of, p_over_rest, slope_of_truth, bend_of_truth);
                }
                firsts(row, k) = gradient;
                seconds(row, k) = bound.raise(gradient, weight * bare);
            }
        }
    }
}

}  // namespace gbm_focal
