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

namespace nb = nanobind;

namespace {

using gbm_focal::Asymmetric;
using gbm_focal::Focal;
using gbm_focal::HessianBound;
using gbm_focal::IntegerExponent;
using gbm_focal::Power;
using gbm_focal::RealExponent;

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

// ---- arrays of any type and stride ----

using Input = nb::ndarray<nb::ro, nb::device::cpu>;
using Output = nb::ndarray<nb::device::cpu>;

template <class From, class Real>
void convert(const void* data, std::int64_t start, std::int64_t stride, double offset, Real* to, std::int64_t n) {
    const From* from = static_cast<const From*>(data) + start;
    for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<Real>(static_cast<double>(from[i * stride]) + offset);
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

std::int64_t columns_of(const Input& array) { return array.ndim() == 2 ? static_cast<std::int64_t>(array.shape(1)) : 1; }

template <class A, class B>
void require_same_shape(const A& a, const B& b) {
    bool same = a.ndim() == b.ndim() && (a.ndim() == 1 || a.ndim() == 2);
    for (std::size_t i = 0; same && i < a.ndim(); ++i) same = a.shape(i) == b.shape(i);
    if (!same) throw nb::value_error("the kernel needs arrays of one shape, (n,) or (n, L)");
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
    bool valid = true;
    for_each_column<Real>(losses, columns_of(margin), [&](const auto& loss, std::int64_t column, double offset) {
        Reader<Real> labels(y, column, 0, over_y), margins(margin, column, offset, over_margin);
        Weights<Real> weights(weight);
        for (std::int64_t row = 0; valid && row < rows; row += BLOCK) {
            const std::int64_t n = std::min(BLOCK, rows - row);
            const Real *label = labels.block(row, n), *z = margins.block(row, n), *w = weights.block(row, n);
            valid = rows_are_valid(label, z, n) && (!weight || weights_are_valid(w, n));
            if (valid) work(loss, column, row, n, label, z, w);
        }
    });
    return valid;
}

// ---- the three entries; each says whether all its input was valid ----

bool value(const Losses& losses, const Input& y, const Input& margin, const std::optional<Input>& weight,
           const Output& out) {
    require_same_shape(y, margin);
    require_same_shape(out, margin);
    require_rows(weight, static_cast<std::int64_t>(margin.shape(0)));
    nb::gil_scoped_release release;
    return with_real(out, [&](auto type) {
        using Real = decltype(type);
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
                      const Output& gradient, const Output& hessian, bool exact, std::optional<double> max_step) {
    require_same_shape(y, margin);
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
    nb::gil_scoped_release release;
    return with_real(out, [&](auto type) {
        using Real = decltype(type);
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
        .def(nb::init<std::string, std::vector<double>, std::vector<double>, std::vector<double>, std::vector<double>>(),
             nb::arg("family"), nb::arg("parameters"), nb::arg("positive_weight"), nb::arg("negative_weight"),
             nb::arg("offset"));
    module.def("value", &value, nb::arg("losses"), nb::arg("y_true"), nb::arg("margin"),
               nb::arg("sample_weight").none(), nb::arg("out"),
               "Write the weighted value of every row to out; False if a row was invalid.");
    module.def("gradient_hessian", &gradient_hessian, nb::arg("losses"), nb::arg("y_true"), nb::arg("margin"),
               nb::arg("sample_weight").none(), nb::arg("gradient"), nb::arg("hessian"), nb::arg("exact"),
               nb::arg("max_step").none(),
               "Write gradient and Hessian of every row; False if a row was invalid. gradient may be the array "
               "margin, and hessian the array y_true.");
    module.def("posterior", &posterior, nb::arg("losses"), nb::arg("margin"), nb::arg("out"),
               "Write the posterior of every margin to out; False if a margin was invalid.");
}
