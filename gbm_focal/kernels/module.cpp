// The host kernel: loops over rows around the scalar functions of losses.h, bound with nanobind.
//
// Rows are handled in blocks that stay in the first-level cache. A block of an array that is already
// contiguous and of the computing type is used in place; any other type or stride passes through a
// small buffer. So one vectorised loop serves every layout, and nothing of the size of the data is
// allocated.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "losses.h"

// One build serves old and new processors: the loader picks the widest version that the machine runs.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_EACH_PROCESSOR __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define FOR_EACH_PROCESSOR
#endif

// Rows are independent. Compilers stop checking that at about ten arrays, and then do not vectorise.
#if defined(__clang__)
#define FOR_INDEPENDENT_ROWS _Pragma("clang loop vectorize(assume_safety)") for
#elif defined(__GNUC__)
#define FOR_INDEPENDENT_ROWS _Pragma("GCC ivdep") for
#else
#define FOR_INDEPENDENT_ROWS __pragma(loop(ivdep)) for
#endif

namespace nb = nanobind;

namespace {

using gbm_focal::Asymmetric;
using gbm_focal::choose;
using gbm_focal::Focal;
using gbm_focal::HessianBound;
using gbm_focal::IntegerExponent;
using gbm_focal::Power;
using gbm_focal::RealExponent;
using gbm_focal::SoftmaxFocal;

constexpr std::int64_t BLOCK = 512;

// ---- the vectorised loops, over one contiguous block ----

// Invalid rows are counted in an integer as wide as the computing type: a float sum would have to keep its
// order, row by row.
template <class Real>
FOR_EACH_PROCESSOR bool rows_are_valid(const Real* __restrict y, const Real* __restrict z, std::int64_t n) {
    typename gbm_focal::Format<Real>::Bits invalid = 0;
    for (std::int64_t i = 0; i < n; ++i) invalid |= gbm_focal::row_is_valid(y[i], z[i]) ? 0u : 1u;
    return invalid == 0;
}

template <class Real>
FOR_EACH_PROCESSOR bool weights_are_valid(const Real* __restrict w, std::int64_t n) {
    typename gbm_focal::Format<Real>::Bits invalid = 0;
    for (std::int64_t i = 0; i < n; ++i) invalid |= gbm_focal::weight_is_valid(w[i]) ? 0u : 1u;
    return invalid == 0;
}

// Whether every label is a class, 0 to classes - 1.
template <class Real>
FOR_EACH_PROCESSOR bool classes_are_valid(const Real* __restrict y, std::int64_t classes, std::int64_t n) {
    typename gbm_focal::Format<Real>::Bits invalid = 0;
    const Real last = static_cast<Real>(classes - 1);
    for (std::int64_t i = 0; i < n; ++i) invalid |= (y[i] >= Real(0)) & (y[i] <= last) ? 0u : 1u;
    for (std::int64_t i = 0; i < n; ++i) invalid |= y[i] == std::nearbyint(y[i]) ? 0u : 1u;
    return invalid == 0;
}

template <class Real>
FOR_EACH_PROCESSOR void one_versus_rest(const Real* __restrict y, std::int64_t column, Real* __restrict label,
                                        std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) label[i] = y[i] == Real(column) ? Real(1) : Real(0);
}

template <class Loss, class Real>
using PartsOfBlock = Real[Loss::PARTS][BLOCK];

template <class Loss, class Real>
GBM_FOCAL_FUNCTION gbm_focal::Parts<Real, Loss::PARTS> parts_of_row(const PartsOfBlock<Loss, Real>& from,
                                                                    std::int64_t i) {
    gbm_focal::Parts<Real, Loss::PARTS> parts;
    for (int k = 0; k < Loss::PARTS; ++k) parts.part[k] = from[k][i];
    return parts;
}

template <int STAGE, class Loss, class Real>
FOR_EACH_PROCESSOR void block_stage(const Loss& loss, const Real* __restrict z, PartsOfBlock<Loss, Real>& parts,
                                    std::int64_t n) {
    const Loss local = loss;
    for (std::int64_t i = 0; i < n; ++i) {
        auto row = parts_of_row<Loss>(parts, i);
        local.template stage<STAGE>(z[i], row);
        for (int k = 0; k < Loss::PARTS; ++k) parts[k][i] = row.part[k];
    }
}

template <int STAGE = 0, class Loss, class Real>
void block_parts(const Loss& loss, const Real* z, PartsOfBlock<Loss, Real>& parts, std::int64_t n) {
    if constexpr (STAGE < Loss::STAGES) {
        block_stage<STAGE>(loss, z, parts, n);
        block_parts<STAGE + 1>(loss, z, parts, n);
    }
}

template <class Loss, class Real>
FOR_EACH_PROCESSOR void block_value(const Loss& loss, const PartsOfBlock<Loss, Real>& parts,
                                    const Real* __restrict y, const Real* __restrict z, const Real* __restrict w,
                                    Real* __restrict value, std::int64_t n) {
    const Loss local = loss;
    for (std::int64_t i = 0; i < n; ++i)
        value[i] = gbm_focal::row_value(local, y[i], z[i], parts_of_row<Loss>(parts, i), w[i]);
}

template <bool EXACT, class Loss, class Real>
FOR_EACH_PROCESSOR void block_derivatives(const Loss& loss, HessianBound<Real> bound,
                                          const PartsOfBlock<Loss, Real>& parts, const Real* __restrict y,
                                          const Real* __restrict z, const Real* __restrict w,
                                          Real* __restrict gradient, Real* __restrict hessian, std::int64_t n) {
    const Loss local = loss;
    for (std::int64_t i = 0; i < n; ++i) {
        const auto row =
            gbm_focal::row_derivatives<EXACT>(local, bound, y[i], z[i], parts_of_row<Loss>(parts, i), w[i]);
        gradient[i] = row.gradient;
        hessian[i] = row.hessian;
    }
}

template <class Loss, class Real>
FOR_EACH_PROCESSOR void block_posterior(const Loss& loss, const PartsOfBlock<Loss, Real>& parts,
                                        const Real* __restrict z, Real* __restrict posterior, std::int64_t n) {
    const Loss local = loss;
    for (std::int64_t i = 0; i < n; ++i)
        posterior[i] = gbm_focal::row_posterior(local, z[i], parts_of_row<Loss>(parts, i));
}

// ---- softmax: the same, over a block of rows that lie class after class ----

// One block of rows of K classes, and what is known of its rows. The arrays are a little longer than a power of two,
// because their elements of one row would otherwise compete for the same few lines of the cache.
template <class Real>
struct ClassBlock {
    static constexpr std::int64_t ROWS = 256;
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
    typename gbm_focal::Format<Real>::Bits invalid = 0;
    std::fill(b.largest, b.largest + n, -gbm_focal::Format<Real>::LARGEST);
    std::fill(b.index, b.index + n, Real(0));
    for (std::int64_t k = 0; k < b.classes; ++k) {
        const Real* __restrict z = b.z.data() + k * b.step;
        for (std::int64_t i = 0; i < n; ++i) {
            invalid |= gbm_focal::row_is_valid(Real(0), z[i]) ? 0u : 1u;
            b.index[i] = choose(z[i] > b.largest[i], Real(k), b.index[i]);
            b.largest[i] = gbm_focal::maximum(z[i], b.largest[i]);
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
            b.value[i] = choose(truth, gbm_focal::finite(power * of.n), b.value[i]);
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

// ---- arrays of any type and stride ----

using Input = nb::ndarray<nb::ro, nb::device::cpu>;
using Output = nb::ndarray<nb::device::cpu>;

template <class From, class Real>
void convert(const void* data, std::int64_t start, std::int64_t stride, double offset, Real* to, std::int64_t n) {
    const From* from = static_cast<const From*>(data) + start;
    if (std::is_same_v<From, Real> && offset == 0) {
        for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<Real>(from[i * stride]);
    } else {
        for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<Real>(static_cast<double>(from[i * stride]) + offset);
    }
}

// Column j of an (n,) or (n, L) input; a 1-D input serves every column. An array that the results overwrite is
// read through the buffer, so that the loops see no aliases.
template <class Real>
class Reader {
   public:
    Reader(const Input& array, std::int64_t column, double offset = 0, const void* overwritten = nullptr)
        : data_(array.data()), stride_(array.stride(0)), offset_(offset) {
        if (array.ndim() == 2) start_ = column * array.stride(1);
        const auto type = array.dtype();
        if (type == nb::dtype<float>()) convert_ = convert<float, Real>;
        else if (type == nb::dtype<double>()) convert_ = convert<double, Real>;
        else if (type == nb::dtype<std::int32_t>()) convert_ = convert<std::int32_t, Real>;
        else if (type == nb::dtype<std::int64_t>()) convert_ = convert<std::int64_t, Real>;
        else if (type == nb::dtype<std::uint8_t>() || type == nb::dtype<bool>()) convert_ = convert<std::uint8_t, Real>;
        else throw nb::type_error("the kernel reads float32, float64, int32, int64, uint8 and bool arrays");
        in_place_ = type == nb::dtype<Real>() && (stride_ == 1 || array.shape(0) <= 1) && offset == 0 &&
                    array.data() != overwritten;
    }

    const Real* block(std::int64_t row, std::int64_t n) {
        if (in_place_) return static_cast<const Real*>(data_) + start_ + row;
        convert_(data_, start_ + row * stride_, stride_, offset_, buffer_, n);
        return buffer_;
    }

    void copy(std::int64_t row, std::int64_t n, Real* to) {
        if (in_place_) std::copy_n(static_cast<const Real*>(data_) + start_ + row, n, to);
        else convert_(data_, start_ + row * stride_, stride_, offset_, to, n);
    }

   private:
    const void* data_;
    std::int64_t start_ = 0, stride_;
    double offset_;
    void (*convert_)(const void*, std::int64_t, std::int64_t, double, Real*, std::int64_t);
    bool in_place_;
    Real buffer_[BLOCK];
};

// Sample weights, or ones where there are none.
template <class Real>
class Weights {
   public:
    explicit Weights(const std::optional<Input>& array) {
        if (array) reader_.emplace(*array, 0);
        else std::fill(ones_, ones_ + BLOCK, Real(1));
    }
    const Real* block(std::int64_t row, std::int64_t n) { return reader_ ? reader_->block(row, n) : ones_; }

   private:
    std::optional<Reader<Real>> reader_;
    Real ones_[BLOCK];
};

// Column j of an (n,) or (n, L) output of the computing type.
template <class Real>
class Writer {
   public:
    Writer(const Output& array, std::int64_t column) : stride_(array.stride(0)) {
        data_ = static_cast<Real*>(array.data()) + (array.ndim() == 2 ? column * array.stride(1) : 0);
        in_place_ = stride_ == 1 || array.shape(0) <= 1;
    }
    Real* block(std::int64_t row) { return in_place_ ? data_ + row : buffer_; }
    void flush(std::int64_t row, std::int64_t n) {
        if (in_place_) return;
        for (std::int64_t i = 0; i < n; ++i) data_[(row + i) * stride_] = buffer_[i];
    }

   private:
    Real* data_;
    std::int64_t stride_;
    bool in_place_;
    Real buffer_[BLOCK];
};

// ---- which loss, which type ----

// What defines the losses of a call: a family, its parameters, and for each column the weights of the
// labels 1 and 0 and the number that is added to its margins.
struct Losses {
    std::string family;
    std::vector<double> parameters;
    std::vector<double> positive_weight, negative_weight, offset;
};

template <class Loss, class Work>
void with_loss(const Losses& losses, std::int64_t column, const Work& work) {
    if (losses.parameters.size() != static_cast<std::size_t>(Loss::PARAMETERS))
        throw nb::value_error("wrong number of parameters for this family of losses");
    work(Loss(losses.parameters.data(), losses.positive_weight.at(column), losses.negative_weight.at(column)));
}

// The two families with gammas: powers by multiplication where both are small integers.
template <template <class, template <class> class> class Loss, class Real, class Work>
void with_gammas(const Losses& losses, std::int64_t column, const Work& work) {
    constexpr double largest = IntegerExponent<Real>::LARGEST;
    bool small = true;
    for (std::size_t i = 0; i < 2 && i < losses.parameters.size(); ++i)
        small = small && losses.parameters[i] <= largest && losses.parameters[i] == std::floor(losses.parameters[i]);
    if (small) with_loss<Loss<Real, IntegerExponent>>(losses, column, work);
    else with_loss<Loss<Real, RealExponent>>(losses, column, work);
}

template <class Real, class Work>
void for_each_column(const Losses& losses, std::int64_t columns, const Work& work) {
    for (std::int64_t column = 0; column < columns; ++column) {
        const auto one = [&](const auto& loss) { work(loss, column, losses.offset.at(column)); };
        if (losses.family == "focal") with_gammas<Focal, Real>(losses, column, one);
        else if (losses.family == "asymmetric") with_gammas<Asymmetric, Real>(losses, column, one);
        else if (losses.family == "power") with_loss<Power<Real>>(losses, column, one);
        else throw nb::value_error("the kernel knows the families 'focal', 'asymmetric' and 'power'");
    }
}

template <class Work>
auto with_real(const Output& output, const Work& work) {
    if (output.dtype() == nb::dtype<float>()) return work(float{});
    if (output.dtype() == nb::dtype<double>()) return work(double{});
    throw nb::type_error("the kernel writes float32 and float64 arrays");
}

std::int64_t columns_of(const Input& array) {
    return array.ndim() == 2 ? static_cast<std::int64_t>(array.shape(1)) : 1;
}

template <class A, class B>
void require_same_shape(const A& a, const B& b) {
    bool same = a.ndim() == b.ndim() && (a.ndim() == 1 || a.ndim() == 2);
    for (std::size_t i = 0; same && i < a.ndim(); ++i) same = a.shape(i) == b.shape(i);
    if (!same) throw nb::value_error("the kernel needs arrays of one shape, (n,) or (n, L)");
}

// Labels have the shape of the margins, or are one class a row.
void require_labels(const Input& y, const Input& margin) {
    if (y.ndim() != 1 || margin.ndim() != 2 || y.shape(0) != margin.shape(0)) require_same_shape(y, margin);
}

bool is_softmax(const Losses& losses, const Input& margin) {
    if (losses.family != "softmax") return false;
    if (margin.ndim() != 2) throw nb::value_error("the kernel needs margins of shape (n, K) for the family 'softmax'");
    return true;
}

void require_rows(const std::optional<Input>& weight, std::int64_t rows) {
    if (weight && (weight->ndim() != 1 || static_cast<std::int64_t>(weight->shape(0)) != rows))
        throw nb::value_error("the kernel needs one sample weight a row");
}

// Walks the blocks of every column; false as soon as a block holds an invalid row.
template <class Real, class Work>
bool for_each_block(const Losses& losses, const Input& y, const Input& margin, const std::optional<Input>& weight,
                    const Work& work, const void* over_y = nullptr, const void* over_margin = nullptr) {
    const auto rows = static_cast<std::int64_t>(margin.shape(0));
    const bool classes = y.ndim() != margin.ndim();
    bool valid = true;
    for_each_column<Real>(losses, columns_of(margin), [&](const auto& loss, std::int64_t column, double offset) {
        Reader<Real> labels(y, column, 0, over_y), margins(margin, column, offset, over_margin);
        Weights<Real> weights(weight);
        Real of_column[BLOCK];
        for (std::int64_t row = 0; valid && row < rows; row += BLOCK) {
            const std::int64_t n = std::min(BLOCK, rows - row);
            const Real *label = labels.block(row, n), *z = margins.block(row, n), *w = weights.block(row, n);
            if (classes) {
                valid = classes_are_valid(label, columns_of(margin), n);
                one_versus_rest(label, column, of_column, n);
                label = of_column;
            }
            valid = valid && rows_are_valid(label, z, n) && (!weight || weights_are_valid(w, n));
            if (valid) work(loss, column, row, n, label, z, w);
        }
    });
    return valid;
}

// The same for softmax: walks blocks of rows with all their classes.
template <class Real, class Work>
bool for_each_class_block(const Losses& losses, const Input* y, const Input& margin,
                          const std::optional<Input>& weight, const Work& work) {
    const auto rows = static_cast<std::int64_t>(margin.shape(0)), classes = columns_of(margin);
    if (losses.parameters.size() != 1) throw nb::value_error("wrong number of parameters for this family of losses");
    const auto expected = static_cast<std::size_t>(classes);
    if (losses.positive_weight.size() != expected || losses.offset.size() != expected)
        throw nb::value_error("the kernel needs a weight and an offset for every class");
    std::vector<Reader<Real>> margins;
    for (std::int64_t k = 0; k < classes; ++k) margins.emplace_back(margin, k, losses.offset[k]);
    std::optional<Reader<Real>> labels;
    if (y) labels.emplace(*y, 0);
    Weights<Real> weights(weight);
    ClassBlock<Real> block(classes);
    const Real zeros[BLOCK] = {};
    const auto run = [&](const auto& loss) {
        for (std::int64_t row = 0; row < rows; row += block.rows) {
            const std::int64_t n = std::min(block.rows, rows - row);
            for (std::int64_t k = 0; k < classes; ++k) margins[k].copy(row, n, block.z.data() + k * block.step);
            if (!find_largest(losses.positive_weight.data(), block, n)) return false;
            const Real *label = labels ? labels->block(row, n) : zeros, *w = weights.block(row, n);
            if (!classes_are_valid(label, classes, n) || (weight && !weights_are_valid(w, n))) return false;
            std::copy(label, label + n, block.label);
            sum_exponentials(loss, block, n);
            work(loss, block, row, n, w);
        }
        return true;
    };
    const double gamma = losses.parameters[0];
    if (gamma <= IntegerExponent<Real>::LARGEST && gamma == std::floor(gamma))
        return run(SoftmaxFocal<Real, IntegerExponent>(&gamma));
    return run(SoftmaxFocal<Real, RealExponent>(&gamma));
}

// ---- the three entries; each says whether all its input was valid ----

bool value(const Losses& losses, const Input& y, const Input& margin, const std::optional<Input>& weight,
           const Output& out) {
    require_labels(y, margin);
    const bool softmax = is_softmax(losses, margin);
    require_same_shape(out, softmax ? y : margin);
    require_rows(weight, static_cast<std::int64_t>(margin.shape(0)));
    nb::gil_scoped_release release;
    return with_real(out, [&](auto type) {
        using Real = decltype(type);
        if (softmax)
            return for_each_class_block<Real>(
                losses, &y, margin, weight,
                [&](const auto& loss, auto& block, std::int64_t row, std::int64_t n, const Real* w) {
                    find_truth(loss, losses.positive_weight.data(), block, n);
                    Writer<Real> writer(out, 0);
                    Real* value = writer.block(row);
                    for (std::int64_t i = 0; i < n; ++i) value[i] = gbm_focal::finite(w[i] * block.value[i]);
                    writer.flush(row, n);
                });
        return for_each_block<Real>(losses, y, margin, weight,
                                    [&](const auto& loss, std::int64_t column, std::int64_t row, std::int64_t n,
                                        const Real* label, const Real* z, const Real* w) {
                                        Writer<Real> writer(out, column);
                                        PartsOfBlock<std::decay_t<decltype(loss)>, Real> parts;
                                        block_parts(loss, z, parts, n);
                                        block_value(loss, parts, label, z, w, writer.block(row), n);
                                        writer.flush(row, n);
                                    });
    });
}

bool gradient_hessian(const Losses& losses, const Input& y, const Input& margin, const std::optional<Input>& weight,
                      const Output& gradient, const Output& hessian, bool exact, std::optional<double> max_step,
                      double softmax_factor) {
    require_labels(y, margin);
    const bool softmax = is_softmax(losses, margin);
    require_same_shape(gradient, margin);
    require_same_shape(hessian, margin);
    require_rows(weight, static_cast<std::int64_t>(margin.shape(0)));
    if (hessian.dtype() != gradient.dtype()) throw nb::type_error("gradient and hessian must have one type");
    nb::gil_scoped_release release;
    return with_real(gradient, [&](auto type) {
        using Real = decltype(type);
        using Format = gbm_focal::Format<Real>;
        const HessianBound<Real> bound{max_step ? static_cast<Real>(1 / *max_step) : Real(0),
                                       max_step ? Format::SMALLEST : -Format::LARGEST};
        if (softmax)
            return for_each_class_block<Real>(
                losses, &y, margin, weight,
                [&](const auto& loss, auto& block, std::int64_t row, std::int64_t n, const Real* w) {
                    const double* weights = losses.positive_weight.data();
                    find_slopes(loss, weights, block, n);
                    if (exact) find_truth(loss, weights, block, n);
                    for (std::int64_t k = 0; k < block.classes; ++k) {
                        Writer<Real> first(gradient, k), second(hessian, k);
                        Real *g = first.block(row), *h = second.block(row);
                        const auto factor = static_cast<Real>(softmax_factor);
                        if (exact) class_exact(loss, bound, block, k, w, g, h, n);
                        else class_fisher(loss, bound, factor, block, k, w, g, h, n);
                        first.flush(row, n);
                        second.flush(row, n);
                    }
                });
        return for_each_block<Real>(losses, y, margin, weight,
                                    [&](const auto& loss, std::int64_t column, std::int64_t row, std::int64_t n,
                                        const Real* label, const Real* z, const Real* w) {
                                        Writer<Real> first(gradient, column), second(hessian, column);
                                        Real *g = first.block(row), *h = second.block(row);
                                        PartsOfBlock<std::decay_t<decltype(loss)>, Real> parts;
                                        block_parts(loss, z, parts, n);
                                        if (exact) block_derivatives<true>(loss, bound, parts, label, z, w, g, h, n);
                                        else block_derivatives<false>(loss, bound, parts, label, z, w, g, h, n);
                                        first.flush(row, n);
                                        second.flush(row, n);
                                    },
                                    hessian.data(), gradient.data());
    });
}

bool posterior(const Losses& losses, const Input& margin, const Output& out) {
    require_same_shape(out, margin);
    const bool softmax = is_softmax(losses, margin);
    nb::gil_scoped_release release;
    return with_real(out, [&](auto type) {
        using Real = decltype(type);
        if (softmax)
            return for_each_class_block<Real>(
                losses, nullptr, margin, std::nullopt,
                [&](const auto& loss, auto& block, std::int64_t row, std::int64_t n, const Real*) {
                    find_slopes(loss, losses.positive_weight.data(), block, n);
                    for (std::int64_t k = 0; k < block.classes; ++k) {
                        Writer<Real> writer(out, k);
                        class_posterior(block, k, writer.block(row), n);
                        writer.flush(row, n);
                    }
                });
        // Any valid label will do: only the margins count here.
        static const Real zeros[BLOCK] = {};
        static const Real* const any = zeros;
        bool valid = true;
        const auto rows = static_cast<std::int64_t>(margin.shape(0));
        for_each_column<Real>(losses, columns_of(margin), [&](const auto& loss, std::int64_t column, double offset) {
            Reader<Real> margins(margin, column, offset);
            Writer<Real> writer(out, column);
            for (std::int64_t row = 0; valid && row < rows; row += BLOCK) {
                const std::int64_t n = std::min(BLOCK, rows - row);
                const Real* z = margins.block(row, n);
                valid = rows_are_valid(any, z, n);
                if (!valid) break;
                PartsOfBlock<std::decay_t<decltype(loss)>, Real> parts;
                block_parts(loss, z, parts, n);
                block_posterior(loss, parts, z, writer.block(row), n);
                writer.flush(row, n);
            }
        });
        return valid;
    });
}

}  // namespace

NB_MODULE(_host, module) {
    module.doc() = "Vectorised host loops over the scalar losses of losses.h.";
    nb::class_<Losses>(module, "Losses",
                       "A family of losses, its parameters, and for each column the weights of the labels 1 and 0 "
                       "and the number added to its margins.")
        .def(nb::init<std::string, std::vector<double>, std::vector<double>, std::vector<double>,
                      std::vector<double>>(),
             nb::arg("family"), nb::arg("parameters"), nb::arg("positive_weight"), nb::arg("negative_weight"),
             nb::arg("offset"))
        .def_ro("family", &Losses::family)
        .def_ro("parameters", &Losses::parameters)
        .def_ro("positive_weight", &Losses::positive_weight)
        .def_ro("negative_weight", &Losses::negative_weight)
        .def_ro("offset", &Losses::offset);
    module.def("value", &value, nb::arg("losses"), nb::arg("y_true"), nb::arg("margin"),
               nb::arg("sample_weight").none(), nb::arg("out"),
               "Write the weighted value of every row to out; False if a row was invalid.");
    module.def("gradient_hessian", &gradient_hessian, nb::arg("losses"), nb::arg("y_true"), nb::arg("margin"),
               nb::arg("sample_weight").none(), nb::arg("gradient"), nb::arg("hessian"), nb::arg("exact"),
               nb::arg("max_step").none(), nb::arg("softmax_factor"),
               "Write gradient and Hessian of every row; False if a row was invalid. gradient may be the array "
               "margin, and hessian the array y_true.");
    module.def("posterior", &posterior, nb::arg("losses"), nb::arg("margin"), nb::arg("out"),
               "Write the posterior of every margin to out; False if a margin was invalid.");
}
