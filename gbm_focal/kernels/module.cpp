// The host kernel's entries, bound with nanobind: which loss and type a call asks for, whether its arrays fit, and the
// walk over their blocks. The loops are in rows.h and softmax.h, the arrays in arrays.h.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "arrays.h"
#include "losses.h"
#include "rows.h"
#include "softmax.h"

namespace gbm_focal {
namespace {

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

// Whether powers with this exponent go by multiplication.
template <class Real>
bool is_small_integer(double exponent) {
    return exponent <= IntegerExponent<Real>::LARGEST && exponent == std::floor(exponent);
}

// The two families with gammas: powers by multiplication where both are small integers.
template <template <class, template <class> class> class Loss, class Real, class Work>
void with_gammas(const Losses& losses, std::int64_t column, const Work& work) {
    bool small = true;
    for (std::size_t i = 0; i < 2 && i < losses.parameters.size(); ++i)
        small = small && is_small_integer<Real>(losses.parameters[i]);
    if (small) with_loss<Loss<Real, IntegerExponent>>(losses, column, work);
    else with_loss<Loss<Real, RealExponent>>(losses, column, work);
}

template <class Real, class Work>
void for_each_column(const Losses& losses, std::int64_t columns, const Work& work) {
    for (std::int64_t column = 0; column < columns; ++column) {
        const auto one = [&](const auto& loss) { work(loss, column, losses.offset.at(column)); };
#define PLAIN(name, Loss) if (losses.family == name) with_loss<Loss<Real>>(losses, column, one); else
#define POWERS(name, Loss) if (losses.family == name) with_gammas<Loss, Real>(losses, column, one); else
        GBM_FOCAL_FAMILIES(PLAIN, POWERS)
#undef PLAIN
#undef POWERS
        throw nb::value_error("the kernel knows no family of losses of this name: those in FAMILIES, and 'softmax'");
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
    if (is_small_integer<Real>(gamma)) return run(SoftmaxFocal<Real, IntegerExponent>(&gamma));
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
                    for (std::int64_t i = 0; i < n; ++i) value[i] = finite(w[i] * block.value[i]);
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
        using F = Format<Real>;
        const HessianBound<Real> bound{max_step ? static_cast<Real>(1 / *max_step) : Real(0),
                                       max_step ? F::SMALLEST : -F::LARGEST};
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
}  // namespace gbm_focal

NB_MODULE(_host, module) {
    using namespace gbm_focal;
    module.doc() = "Vectorised host loops over the scalar losses of losses.h.";
    nb::dict families;
#define PLAIN(name, Loss) families[name] = nb::make_tuple(#Loss, false);
#define POWERS(name, Loss) families[name] = nb::make_tuple(#Loss, true);
    GBM_FOCAL_FAMILIES(PLAIN, POWERS)
#undef PLAIN
#undef POWERS
    module.attr("FAMILIES") = families;
    module.attr("LARGEST_INTEGER_EXPONENT") = static_cast<int>(IntegerExponent<double>::LARGEST);
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
