// Vectorised loops over a block of rows, around the scalar functions of losses.h: what all such loops share (how
// compilers are told to vectorise them, the size of a block, the checks of rows), and the loops of the losses of single
// margins. softmax.h has those of K classes.
//
// A loop is a function of its own, over contiguous arrays of the computing type, so that compilers vectorise it; where
// the arrays come from is the matter of arrays.h. These headers are parts of one compiled file, module.cpp, and all
// their names are local to it.
#pragma once

#include <cmath>
#include <cstdint>

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

namespace gbm_focal {
namespace {

constexpr std::int64_t BLOCK = 512;  // rows, so few that a block stays in the first-level cache

// Invalid rows are counted in an integer as wide as the computing type: a float sum would have to keep its
// order, row by row.
template <class Real>
FOR_EACH_PROCESSOR bool rows_are_valid(const Real* __restrict y, const Real* __restrict z, std::int64_t n) {
    typename Format<Real>::Bits invalid = 0;
    for (std::int64_t i = 0; i < n; ++i) invalid |= row_is_valid(y[i], z[i]) ? 0u : 1u;
    return invalid == 0;
}

template <class Real>
FOR_EACH_PROCESSOR bool weights_are_valid(const Real* __restrict w, std::int64_t n) {
    typename Format<Real>::Bits invalid = 0;
    for (std::int64_t i = 0; i < n; ++i) invalid |= weight_is_valid(w[i]) ? 0u : 1u;
    return invalid == 0;
}

// Whether every label is a class, 0 to classes - 1.
template <class Real>
FOR_EACH_PROCESSOR bool classes_are_valid(const Real* __restrict y, std::int64_t classes, std::int64_t n) {
    typename Format<Real>::Bits invalid = 0;
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
GBM_FOCAL_FUNCTION Parts<Real, Loss::PARTS> parts_of_row(const PartsOfBlock<Loss, Real>& from,
                                                                    std::int64_t i) {
    Parts<Real, Loss::PARTS> parts;
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
        value[i] = row_value(local, y[i], z[i], parts_of_row<Loss>(parts, i), w[i]);
}

template <bool EXACT, class Loss, class Real>
FOR_EACH_PROCESSOR void block_derivatives(const Loss& loss, HessianBound<Real> bound,
                                          const PartsOfBlock<Loss, Real>& parts, const Real* __restrict y,
                                          const Real* __restrict z, const Real* __restrict w,
                                          Real* __restrict gradient, Real* __restrict hessian, std::int64_t n) {
    const Loss local = loss;
    for (std::int64_t i = 0; i < n; ++i) {
        const auto row =
            row_derivatives<EXACT>(local, bound, y[i], z[i], parts_of_row<Loss>(parts, i), w[i]);
        gradient[i] = row.gradient;
        hessian[i] = row.hessian;
    }
}

template <class Loss, class Real>
FOR_EACH_PROCESSOR void block_posterior(const Loss& loss, const PartsOfBlock<Loss, Real>& parts,
                                        const Real* __restrict z, Real* __restrict posterior, std::int64_t n) {
    const Loss local = loss;
    for (std::int64_t i = 0; i < n; ++i)
        posterior[i] = row_posterior(local, z[i], parts_of_row<Loss>(parts, i));
}

}  // namespace
}  // namespace gbm_focal
