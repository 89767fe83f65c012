// Scalar mathematics of every loss: value, derivatives and posterior at one margin.
//
// This header is the only place where a formula is evaluated. It compiles as C++17 for the host
// (GCC, Clang, MSVC) and, unchanged, for the device (nvcc, NVRTC), so it includes nothing there and
// knows no array, no thread and no Python. Every function is free of branches, so that loops over it
// vectorise; a condition is a select between two values that are both safe to compute.
//
// Notation. z is the margin; p = sigmoid(z); q = 1 - p; n = -log p; m = -log q. A loss is a pair of
// partial losses, l1(z) for label 1 and l0(z) for label 0, each times its class weight. Derivatives
// are with respect to z. The posterior is eta = l0' / (l0' - l1'), the probability of label 1 at which
// z minimises the expected loss. The Fisher Hessian is eta l1'' + (1 - eta) l0''; because
// eta l1' + (1 - eta) l0' = 0 for every z, it equals eta' (l0' - l1') and is written below as a
// quotient of sums of positive terms, without the cancellation of the two second derivatives.
#pragma once

// All that differs between compilers.
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define GBM_FOCAL_FUNCTION __host__ __device__ __forceinline__
#elif defined(_MSC_VER) && !defined(__clang__)
#include <cmath>
#include <cstring>
#define GBM_FOCAL_FUNCTION __forceinline
#else
#define GBM_FOCAL_FUNCTION __attribute__((always_inline)) inline
#endif
#if defined(__CUDA_ARCH__) || defined(__CUDACC_RTC__)
#define GBM_FOCAL_FMA(x, y, z) fma(x, y, z)
#define GBM_FOCAL_COPY(to, from) memcpy(&(to), &(from), sizeof(to))
#elif defined(_MSC_VER) && !defined(__clang__)
#define GBM_FOCAL_FMA(x, y, z) std::fma(x, y, z)
#define GBM_FOCAL_COPY(to, from) std::memcpy(&(to), &(from), sizeof(to))
#else
#define GBM_FOCAL_FMA(x, y, z) (sizeof(x) == sizeof(float) ? __builtin_fmaf(x, y, z) : __builtin_fma(x, y, z))
#define GBM_FOCAL_COPY(to, from) __builtin_memcpy(&(to), &(from), sizeof(to))
#endif

namespace gbm_focal {

// What depends on the float type: its layout, and the polynomials fitted to its precision.
// LN2_HIGH has so many trailing zeros that k * LN2_HIGH is exact for every exponent k.
// The polynomials are minimax fits; beside each, the relative error of the whole function it serves.
//   expm1_tail:      (expm1(r) - r) / r^2 on |r| <= 0.3473, 2^-26 (float) and 2^-55 (double)
//   atanh_tail:      (atanh(s) / s - 1) / s^2 in s^2 <= 0.0295 (logarithms), 2^-30 and 2^-59
//   atanh_tail_wide: the same in s^2 <= 1 / 9 (softplus), 2^-28 and 2^-59
template <class Real>
struct Format;

template <>
struct Format<float> {
    using Bits = unsigned int;
    static constexpr int MANTISSA = 23;
    static constexpr Bits BIAS = 127;
    static constexpr Bits SQRT_HALF = 0x3f3504f3;
    static constexpr float SMALLEST = 1.17549435e-38f;
    static constexpr float LARGEST = 3.40282347e+38f;
    static constexpr float EXP_LIMIT = 103.0f;      // exp(-103) is almost the smallest number
    static constexpr float ROUNDER = 12582912.0f;   // 1.5 * 2^23: adding it rounds to an integer
    static constexpr float LOG2_E = 1.44269504f;
    static constexpr float LN2_HIGH = 0.693145751953125f;
    static constexpr float LN2_LOW = 1.4286068203094172e-6f;

    static GBM_FOCAL_FUNCTION float expm1_tail(float r) {
        return (((0.00138825064044f * r + 0.00836664664878f) * r + 0.0416672037938f) * r + 0.166665426863f) * r +
               0.499999981332f;
    }
    static GBM_FOCAL_FUNCTION float atanh_tail(float s2) {
        return (0.149360292073f * s2 + 0.199887663876f) * s2 + 0.333333882063f;
    }
    static GBM_FOCAL_FUNCTION float atanh_tail_wide(float s2) {
        return ((0.140120506614f * s2 + 0.139996113877f) * s2 + 0.200108466258f) * s2 + 0.333332066286f;
    }
};

template <>
struct Format<double> {
    using Bits = unsigned long long;
    static constexpr int MANTISSA = 52;
    static constexpr Bits BIAS = 1023;
    static constexpr Bits SQRT_HALF = 0x3fe6a09e667f3bcd;
    static constexpr double SMALLEST = 2.2250738585072014e-308;
    static constexpr double LARGEST = 1.7976931348623157e+308;
    static constexpr double EXP_LIMIT = 730.0;
    static constexpr double ROUNDER = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double LOG2_E = 1.4426950408889634;
    static constexpr double LN2_HIGH = 0.69314718055989033019;
    static constexpr double LN2_LOW = 5.4979230187083711747e-14;

    static GBM_FOCAL_FUNCTION double expm1_tail(double r) {
        double sum = 2.5053688454381386544e-8;
        sum = sum * r + 2.7626296342714703542e-7;
        sum = sum * r + 2.7557408470775690348e-6;
        sum = sum * r + 0.00002480150465693602143;
        sum = sum * r + 0.00019841269717369121441;
        sum = sum * r + 0.0013888888932045923037;
        sum = sum * r + 0.0083333333333904987429;
        sum = sum * r + 0.041666666666575406225;
        sum = sum * r + 0.16666666666666587698;
        return sum * r + 0.50000000000000052758;
    }
    static GBM_FOCAL_FUNCTION double atanh_tail(double s2) {
        double sum = 0.073981113034675806679;
        sum = sum * s2 + 0.07657014932919811996;
        sum = sum * s2 + 0.090917824202486223911;
        sum = sum * s2 + 0.11111099284986267021;
        sum = sum * s2 + 0.14285714371169040711;
        sum = sum * s2 + 0.19999999999707694248;
        return sum * s2 + 0.33333333333333670962;
    }
    static GBM_FOCAL_FUNCTION double atanh_tail_wide(double s2) {
        double sum = 0.085089258252303075661;
        sum = sum * s2 + 0.041702584084227408563;
        sum = sum * s2 + 0.060529922289899469411;
        sum = sum * s2 + 0.066504937423877037115;
        sum = sum * s2 + 0.076932793837397001564;
        sum = sum * s2 + 0.090908719924837948917;
        sum = sum * s2 + 0.11111111983904521686;
        sum = sum * s2 + 0.14285714273944861496;
        sum = sum * s2 + 0.20000000000078449871;
        return sum * s2 + 0.33333333333333152515;
    }
};

// ---- elementary functions ----

template <class Real>
GBM_FOCAL_FUNCTION Real minimum(Real x, Real y) {
    return x < y ? x : y;
}

template <class Real>
GBM_FOCAL_FUNCTION Real maximum(Real x, Real y) {
    return x > y ? x : y;
}

// x y + z with one rounding.
template <class Real>
GBM_FOCAL_FUNCTION Real fused(Real x, Real y, Real z) {
    return static_cast<Real>(GBM_FOCAL_FMA(x, y, z));
}

template <class Real>
GBM_FOCAL_FUNCTION typename Format<Real>::Bits bits_of(Real x) {
    typename Format<Real>::Bits bits;
    GBM_FOCAL_COPY(bits, x);
    return bits;
}

template <class Real>
GBM_FOCAL_FUNCTION Real from_bits(typename Format<Real>::Bits bits) {
    Real x;
    GBM_FOCAL_COPY(x, bits);
    return x;
}

// condition ? x : y by bits. A compiler makes of x = condition ? new : x in memory a masked store, which takes some
// processors (Zen 3) ten times as long as the whole of a row.
template <class Real>
GBM_FOCAL_FUNCTION Real choose(bool condition, Real x, Real y) {
    using Bits = typename Format<Real>::Bits;
    const Bits mask = Bits(0) - Bits(condition);
    return from_bits<Real>((bits_of(x) & mask) | (bits_of(y) & ~mask));
}

// 2^k for the integer k that sits in the low bits of rounded = k + ROUNDER.
template <class Real>
GBM_FOCAL_FUNCTION Real power_of_two(Real rounded) {
    using F = Format<Real>;
    return from_bits<Real>((bits_of(rounded) << F::MANTISSA) + (F::BIAS << F::MANTISSA));
}

// expm1(r) for |r| <= log(2) / 2.
template <class Real>
GBM_FOCAL_FUNCTION Real expm1_reduced(Real r) {
    return r + r * r * Format<Real>::expm1_tail(r);
}

// 2^k exp(r) for |r| <= log(2) / 2, where rounded = k + ROUNDER and k <= 0. It underflows gradually, through
// a detour by 2^32: a subnormal factor of a normal result, such as 3 q, still has digits enough.
template <class Real>
GBM_FOCAL_FUNCTION Real scaled_exponential(Real rounded, Real r) {
    const Real scale = power_of_two(rounded + Real(32));
    return (scale + scale * expm1_reduced(r)) * Real(1.0 / 4294967296.0);
}

// exp(x) for x <= 0.
template <class Real>
GBM_FOCAL_FUNCTION Real exponential(Real x) {
    using F = Format<Real>;
    const Real rounded = x * F::LOG2_E + F::ROUNDER;
    const Real k = rounded - F::ROUNDER;
    const Real r = (x - k * F::LN2_HIGH) - k * F::LN2_LOW;
    return x < -F::EXP_LIMIT ? Real(0) : scaled_exponential(rounded, r);
}

// 1 - exp(-x) for x >= 0, with full relative precision at 0.
template <class Real>
GBM_FOCAL_FUNCTION Real one_minus_exponential(Real x) {
    using F = Format<Real>;
    const Real rounded = F::ROUNDER - x * F::LOG2_E;
    const Real k = rounded - F::ROUNDER;
    const Real r = (-x - k * F::LN2_HIGH) - k * F::LN2_LOW;
    const Real scale = power_of_two(rounded);
    return x > Real(60) ? Real(1) : (Real(1) - scale) - scale * expm1_reduced(r);
}

// log(1 + f) for sqrt(1/2) <= 1 + f <= sqrt(2).
template <class Real>
GBM_FOCAL_FUNCTION Real log1p_reduced(Real f) {
    const Real s = f / (Real(2) + f);
    const Real s2 = s * s;
    const Real twice = s + s;
    return twice + twice * s2 * Format<Real>::atanh_tail(s2);
}

// A positive normal number as 2^exponent (1 + fraction), and the logarithm of the second factor.
template <class Real>
struct Logarithm {
    Real exponent;
    Real log_fraction;

    GBM_FOCAL_FUNCTION Real sum() const {
        using F = Format<Real>;
        return exponent * F::LN2_HIGH + (log_fraction + exponent * F::LN2_LOW);
    }
};

// The exponent k for which x / 2^k lies in [sqrt(1/2), sqrt(2)), as a number. Neither the conversion
// of a 64-bit integer nor its arithmetic right shift exists in AVX2, so k stays biased and positive
// and becomes a number through the mantissa of 2^MANTISSA + k.
template <class Real>
GBM_FOCAL_FUNCTION Real exponent_of(Real x) {
    using F = Format<Real>;
    const auto one = F::BIAS << F::MANTISSA;
    const auto biased = (bits_of(x) + (one - F::SQRT_HALF)) >> F::MANTISSA;
    const auto offset = (F::BIAS + F::MANTISSA) << F::MANTISSA;
    return from_bits<Real>(offset | biased) - (from_bits<Real>(offset) + Real(F::BIAS));
}

template <class Real>
GBM_FOCAL_FUNCTION Logarithm<Real> logarithm(Real x) {
    const Real exponent = exponent_of(x);
    const Real scale = power_of_two(Format<Real>::ROUNDER - exponent);
    return {exponent, log1p_reduced(x * scale - Real(1))};
}

// log(1 + x) for x >= 0. Scaling x and 1 apart keeps what 1 + x would round away.
template <class Real>
GBM_FOCAL_FUNCTION Real log1p_positive(Real x) {
    const Real exponent = exponent_of(Real(1) + x);
    const Real scale = power_of_two(Format<Real>::ROUNDER - exponent);
    const Logarithm<Real> result{exponent, log1p_reduced((scale - Real(1)) + x * scale)};
    return result.sum();
}

// ---- powers ----
// The exponent of a power, such as gamma: any real number >= 0, or an integer in 0..4, which costs a third.

// In float a real exponent keeps the digits that rounding the user's double would lose: exp(-87) turns
// their 6e-8 into 5e-6.
template <class Real>
struct RealExponent {
    Real value, low;

    explicit GBM_FOCAL_FUNCTION RealExponent(double exponent)
        : value(static_cast<Real>(exponent)), low(static_cast<Real>(exponent - static_cast<double>(value))) {}
    GBM_FOCAL_FUNCTION RealExponent(bool first, const RealExponent& x, const RealExponent& y)
        : value(first ? x.value : y.value), low(first ? x.low : y.low) {}

    // base^exponent for base = exp(-(x + y)), x >= 0, 0 <= y <= 1. One rounding of exponent * x would be
    // an error of half a unit in the last place of up to 708, so the product is fused with the
    // subtraction of the multiple of log(2) that cancels most of it.
    GBM_FOCAL_FUNCTION Real power(Real /*base*/, Real x, Real y) const {
        using F = Format<Real>;
        const Real approximate = value * (x + y);
        const Real rounded = F::ROUNDER - approximate * F::LOG2_E;
        const Real k = rounded - F::ROUNDER;
        const Real r = fused(-value, x, -k * F::LN2_HIGH) - (value * y + (low * x + k * F::LN2_LOW));
        return approximate > F::EXP_LIMIT ? Real(0) : scaled_exponential(rounded, r);
    }

    // base^exponent for 0 < base <= 1, from the logarithm of the base in two parts, for the same reason.
    GBM_FOCAL_FUNCTION Real power(Real base) const {
        using F = Format<Real>;
        const Logarithm<Real> log = logarithm(base);
        const Real approximate = value * (log.exponent + log.log_fraction * F::LOG2_E);
        const Real rounded = approximate + F::ROUNDER;
        const Real k = rounded - F::ROUNDER;
        const Real whole = fused(value, log.exponent, -k) + low * log.exponent;
        const Real r = whole * (F::LN2_HIGH + F::LN2_LOW) + value * log.log_fraction;
        return approximate < -F::EXP_LIMIT * F::LOG2_E ? Real(0) : scaled_exponential(rounded, r);
    }
};

// The product of those of base, base^2 and base^2 that the exponent calls for. They are chosen by bit masks:
// a condition that is the same for all rows would become a branch, and stop the loop from vectorising.
template <class Real>
struct IntegerExponent {
    using Bits = typename Format<Real>::Bits;
    static constexpr int LARGEST = 4;
    static constexpr Bits ONE = Format<Real>::BIAS << Format<Real>::MANTISSA;
    Real value;
    Bits first, second, third;  // masks

    explicit GBM_FOCAL_FUNCTION IntegerExponent(double exponent)
        : value(static_cast<Real>(exponent)),
          first(mask(exponent == 1 || exponent == 3)),
          second(mask(exponent > 1)),
          third(mask(exponent > 3)) {}
    GBM_FOCAL_FUNCTION IntegerExponent(bool choice, const IntegerExponent& x, const IntegerExponent& y)
        : value(choice ? x.value : y.value),
          first(choice ? x.first : y.first),
          second(choice ? x.second : y.second),
          third(choice ? x.third : y.third) {}

    GBM_FOCAL_FUNCTION Real power(Real base) const {
        const Real square = base * base;
        return factor(first, base) * factor(second, square) * factor(third, square);
    }
    GBM_FOCAL_FUNCTION Real power(Real base, Real, Real) const { return power(base); }

   private:
    static GBM_FOCAL_FUNCTION Bits mask(bool on) { return on ? ~Bits(0) : Bits(0); }
    static GBM_FOCAL_FUNCTION Real factor(Bits mask, Real x) {
        return from_bits<Real>((bits_of(x) & mask) | (ONE & ~mask));
    }
};

// ---- what every loss needs of a margin ----

// What a loss computes of a margin first, in stages; each adds to the parts that the stages before it left.
// In one go a loss is a chain of dependent instructions longer than a processor looks ahead, so a vectorised
// loop runs over a block of rows once for each stage, and once more for the rest: 3.1 ns a row for focal loss
// and 5.2 for ASL in two loops, 2.7 and 4.3 with these stages (AVX2, float).
template <class Real, int COUNT>
struct Parts {
    Real part[COUNT];
};

// The first two stages of every loss: exp(-|z|); then 1 / (1 + exp(-|z|)) and log(1 + exp(-|z|)) / exp(-|z|).
template <int STAGE, class Real, int COUNT>
GBM_FOCAL_FUNCTION void tail_stage(Real z, Parts<Real, COUNT>& parts) {
    static_assert(STAGE < 2, "there are two stages");
    if constexpr (STAGE == 0) {
        parts.part[0] = exponential(z > Real(0) ? -z : z);
    } else {
        const Real tail = parts.part[0];
        const Real whole = Real(1) + tail;
        const Real inverse = Real(1) / (whole * (Real(2) + tail));  // one division for two quotients
        const Real ratio = inverse * whole;
        const Real s = tail * ratio;  // log(1 + x) = 2 atanh(s) with s = x / (2 + x)
        const Real s2 = s * s;
        const Real twice = ratio + ratio;
        parts.part[1] = inverse * (Real(2) + tail);
        parts.part[2] = twice + twice * s2 * Format<Real>::atanh_tail_wide(s2);
    }
}

template <class Real>
struct Margin {
    Real z;
    Real positive_part, negative_part;  // max(z, 0) and max(-z, 0)
    Real softplus;                      // log(1 + exp(-|z|)), so n = negative_part + softplus
    Real p, q, n, m;
    Real pn, qm;                        // p n and q m, 0 where p or q is
    Real n_over_q;                      // 1 at infinity, where n and q are both lost

    template <int COUNT>
    GBM_FOCAL_FUNCTION Margin(Real margin, const Parts<Real, COUNT>& parts) : z(margin) {
        const Real tail = parts.part[0], larger = parts.part[1], softplus_over_tail = parts.part[2];
        const bool positive = z > Real(0);
        const Real whole = Real(1) + tail;
        const Real smaller = tail * larger;
        softplus = tail * softplus_over_tail;
        positive_part = maximum(z, Real(0));
        negative_part = maximum(-z, Real(0));
        p = positive ? larger : smaller;
        q = positive ? smaller : larger;
        n = negative_part + softplus;
        m = positive_part + softplus;
        pn = p * n;
        qm = q * m;
        n_over_q = (positive ? softplus_over_tail : n) * whole;
    }
};

template <class Real>
struct Derivatives {
    Real gradient, hessian;
};

template <class Real>
GBM_FOCAL_FUNCTION Real finite(Real x) {
    return minimum(x, Format<Real>::LARGEST);
}

// ---- the losses ----
// Each is built from the parameters of its family and its two class weights. at(z, parts), after all its
// stages, is all it needs to know of a margin; there it offers value(at, positive), exact(at, positive),
// fisher(at, positive) and posterior(at).

// Focal loss (Lin et al., ICCV 2017) with one gamma per label; gamma 0 is (balanced) cross-entropy.
//   l1 = w1 q^g1 n,  l0 = w0 p^g0 m
template <class Real, template <class> class Exponent>
struct Focal {
    static constexpr int PARAMETERS = 2;
    Exponent<Real> gamma_positive, gamma_negative;
    Real weight_positive, weight_negative;

    GBM_FOCAL_FUNCTION Focal(const double* parameters, double positive, double negative)
        : gamma_positive(parameters[0]),
          gamma_negative(parameters[1]),
          weight_positive(static_cast<Real>(positive)),
          weight_negative(static_cast<Real>(negative)) {}

    static constexpr int PARTS = 3, STAGES = 2;
    template <int STAGE>
    GBM_FOCAL_FUNCTION void stage(Real z, Parts<Real, PARTS>& parts) const {
        tail_stage<STAGE>(z, parts);
    }
    GBM_FOCAL_FUNCTION Margin<Real> at(Real z, const Parts<Real, PARTS>& parts) const {
        return Margin<Real>(z, parts);
    }

    GBM_FOCAL_FUNCTION Real value(const Margin<Real>& at, bool positive) const {
        const Side own(*this, at, positive);
        return finite(own.scale * own.n);
    }

    GBM_FOCAL_FUNCTION Derivatives<Real> exact(const Margin<Real>& at, bool positive) const {
        const Side own(*this, at, positive);
        const Real gradient = own.scale * (own.gamma * own.pn + own.q);
        const Real hessian = own.scale * ((Real(1) + Real(2) * own.gamma) * at.p * at.q +
                                          own.gamma * own.pn * (own.gamma * own.p - own.q));
        return {positive ? -gradient : gradient, hessian};
    }

    // With -l1' = s1 a1, l0' = s0 a0 (s the weighted powers) the Fisher Hessian is
    //   s1 s0 (a0 c1 + a1 c0) / (s0 a0 + s1 a1),
    //   c1 = q^2 + 2 g1 p q + g1 (g1 - 1) p^2 n,   c0 = p^2 + 2 g0 p q + g0 (g0 - 1) q^2 m.
    // n <= q / p and m <= p / q make both c positive for every gamma >= 0.
    GBM_FOCAL_FUNCTION Derivatives<Real> fisher(const Margin<Real>& at, bool positive) const {
        const Slopes slope(*this, at);
        const Real g1 = gamma_positive.value, g0 = gamma_negative.value;
        const Real c1 = at.q * at.q + g1 * (Real(2) * at.p * at.q + (g1 - Real(1)) * at.p * at.pn);
        const Real c0 = at.p * at.p + g0 * (Real(2) * at.p * at.q + (g0 - Real(1)) * at.q * at.qm);
        const Real hessian =
            slope.s1 * ((slope.s0 / slope.total()) * (slope.a0 * c1 + slope.a1 * c0));
        return {positive ? -slope.s1 * slope.a1 : slope.s0 * slope.a0, hessian};
    }

    GBM_FOCAL_FUNCTION Real posterior(const Margin<Real>& at) const {
        const Slopes slope(*this, at);
        return slope.s0 * slope.a0 / slope.total();
    }

   private:
    // What one label's partial loss is made of. l0(z) is l1(-z) with the other gamma and weight.
    struct Side {
        Real scale, gamma, p, q, n, pn;
        GBM_FOCAL_FUNCTION Side(const Focal& loss, const Margin<Real>& at, bool positive)
            : p(positive ? at.p : at.q),
              q(positive ? at.q : at.p),
              n(positive ? at.n : at.m),
              pn(positive ? at.pn : at.qm) {
            const Exponent<Real> exponent(positive, loss.gamma_positive, loss.gamma_negative);
            gamma = exponent.value;
            scale = (positive ? loss.weight_positive : loss.weight_negative) *
                    exponent.power(q, positive ? at.positive_part : at.negative_part, at.softplus);
        }
    };

    struct Slopes {  // -l1' = s1 a1 and l0' = s0 a0
        Real s1, a1, s0, a0;
        GBM_FOCAL_FUNCTION Slopes(const Focal& loss, const Margin<Real>& at)
            : s1(loss.weight_positive * loss.gamma_positive.power(at.q, at.positive_part, at.softplus)),
              a1(loss.gamma_positive.value * at.pn + at.q),
              s0(loss.weight_negative * loss.gamma_negative.power(at.p, at.negative_part, at.softplus)),
              a0(loss.gamma_negative.value * at.qm + at.p) {}
        GBM_FOCAL_FUNCTION Real total() const { return maximum(s0 * a0 + s1 * a1, Format<Real>::SMALLEST); }
    };
};

// Asymmetric loss (Ridnik et al., ICCV 2021) with clip > 0; with clip = 0 it is Focal.
//   l1 = w1 q^g1 n,  l0 = w0 a^g0 L,  a = max(p - clip, 0),  L = -log(1 - a)
// The derivatives use b = 1 - a = q + clip, r = p / a and da/dz = p q:
//   l0' = w0 a^g0 (q / b) (g0 L r b + p)
//   l0'' = w0 a^g0 (q / b)^2 (p^2 + g0 r b (2 p + (g0 - 1) L r b)) + l0' (q - p)
template <class Real, template <class> class Exponent>
struct Asymmetric {
    static constexpr int PARAMETERS = 5;
    Exponent<Real> gamma_positive, gamma_negative;
    Real clip, above_clip, edge, edge_low;  // clip, 1 - clip, and logit(clip) = edge + edge_low
    Real weight_positive, weight_negative;

    // parameters: gamma_pos, gamma_neg, clip, logit(clip) as a double and its remainder.
    GBM_FOCAL_FUNCTION Asymmetric(const double* parameters, double positive, double negative)
        : gamma_positive(parameters[0]),
          gamma_negative(parameters[1]),
          clip(static_cast<Real>(parameters[2])),
          above_clip(static_cast<Real>(1 - parameters[2])),
          edge(static_cast<Real>(parameters[3])),
          edge_low(static_cast<Real>((parameters[3] - static_cast<double>(edge)) + parameters[4])),
          weight_positive(static_cast<Real>(positive)),
          weight_negative(static_cast<Real>(negative)) {}

    struct At : Margin<Real> {
        Real a, log_term;  // both 0 in the dead zone
        GBM_FOCAL_FUNCTION At(Real z, const Parts<Real, 5>& parts)
            : Margin<Real>(z, parts), a(parts.part[3]), log_term(parts.part[4]) {}
    };

    static constexpr int PARTS = 5, STAGES = 4;
    template <int STAGE>
    GBM_FOCAL_FUNCTION void stage(Real z, Parts<Real, PARTS>& parts) const {
        if constexpr (STAGE < 2) {
            tail_stage<STAGE>(z, parts);
        } else if constexpr (STAGE == 2) {
            // Just above the edge z_e = logit(clip), p - clip cancels; there a = p (1 - clip) (1 - exp(z_e - z)),
            // with z_e in two parts. Further up the subtraction costs a bit at most.
            const Real p = Margin<Real>(z, parts).p;
            const Real above_edge = maximum((z - edge) - edge_low, Real(0));
            const Real half = expm1_reduced(Real(-0.5) * minimum(above_edge, Real(NEAR)));
            const Real near = -p * above_clip * (half * (Real(2) + half));  // expm1(2 x) from expm1(x)
            parts.part[3] = above_edge < Real(NEAR) ? near : p - clip;
        } else {
            // -log(1 - a), from a itself while that is small, and from 1 - a = q + clip once it is not.
            const Real a = parts.part[3], b = Margin<Real>(z, parts).q + clip;
            const Real exponent = exponent_of(b);
            const Real scale = power_of_two(Format<Real>::ROUNDER - exponent);
            const Real log_fraction = log1p_reduced(exponent < Real(0) ? b * scale - Real(1) : -a);
            parts.part[4] = -Logarithm<Real>{exponent, log_fraction}.sum();
        }
    }
    GBM_FOCAL_FUNCTION At at(Real z, const Parts<Real, PARTS>& parts) const { return At(z, parts); }

    GBM_FOCAL_FUNCTION Real value(const At& at, bool positive) const {
        const Sides side(*this, at);
        return finite(positive ? side.s1 * at.n : side.s0 * at.log_term);
    }

    GBM_FOCAL_FUNCTION Derivatives<Real> exact(const At& at, bool positive) const {
        const Sides side(*this, at);
        const Real g1 = gamma_positive.value;
        const Real of_positive =
            side.s1 * ((Real(1) + Real(2) * g1) * at.p * at.q + g1 * at.pn * (g1 * at.p - at.q));
        const Real t = side.q_over_b;
        const Real of_negative = side.s0 * t * (t * side.c0 + side.a0 * (at.q - at.p));
        return {side.gradient(positive), positive ? of_positive : of_negative};
    }

    // As for Focal, with the common factor q / b taken out of both slopes: they vanish together at
    // infinity, where the quotient would be 0 / 0.
    GBM_FOCAL_FUNCTION Derivatives<Real> fisher(const At& at, bool positive) const {
        const Sides side(*this, at);
        const Real g1 = gamma_positive.value;
        const Real t = side.q_over_b;
        const Real c1 = at.q + g1 * at.p * (Real(2) + (g1 - Real(1)) * at.p * at.n_over_q);
        const Real total = side.s0 * side.a0 + side.s1 * side.a1;
        const Real hessian =
            side.s1 * ((side.s0 / maximum(total, Format<Real>::SMALLEST)) *
                       (at.q * side.a0 * c1 + t * t * (side.a1 * side.c0)));
        return {side.gradient(positive), hessian};
    }

    // In the dead zone p <= clip the formula gives 0, and it falls to 0 like a power of p - clip above
    // the edge. There the posterior follows the one of l0' = DEAD_ZONE_SLOPE w0 p q instead, where that
    // is larger: both increase strictly, and so does the larger of them.
    GBM_FOCAL_FUNCTION Real posterior(const At& at) const {
        const Sides side(*this, at);
        const Real negative = maximum(side.s0 * side.a0,
                                      Real(DEAD_ZONE_SLOPE) * weight_negative * at.p * side.b);
        return negative / maximum(negative + side.s1 * side.a1, Format<Real>::SMALLEST);
    }

    static constexpr double DEAD_ZONE_SLOPE = 1e-9;

   private:
    static constexpr double NEAR = 0.69;  // half of it is within the reach of expm1_reduced

    struct Sides {  // -l1' = s1 a1 (q / b), l0' = s0 a0 (q / b), and c0 as l0'' uses it
        Real b, q_over_b, s1, a1, s0, a0, c0;

        GBM_FOCAL_FUNCTION Sides(const Asymmetric& loss, const At& at) {
            // In the dead zone, where s0 is 0, any a will do that keeps 1 / a finite and all else off the
            // subnormal numbers, which processors handle slowly.
            const bool alive = at.a > Real(0);
            const Real a = alive ? at.a : Real(1);
            const Real g0 = loss.gamma_negative.value;
            b = at.q + loss.clip;
            const Real inverse = Real(1) / (a * b);
            q_over_b = at.q * (a * inverse);
            s1 = loss.weight_positive * loss.gamma_positive.power(at.q, at.positive_part, at.softplus);
            a1 = b * (Real(1) + loss.gamma_positive.value * at.p * at.n_over_q);
            s0 = alive ? loss.weight_negative * loss.gamma_negative.power(a) : Real(0);
            const Real rb = at.p * (b * (b * inverse));
            a0 = g0 * at.log_term * rb + at.p;
            c0 = at.p * at.p + g0 * rb * (Real(2) * at.p + (g0 - Real(1)) * at.log_term * rb);
        }

        GBM_FOCAL_FUNCTION Real gradient(bool positive) const {
            return (positive ? -s1 * a1 : s0 * a0) * q_over_b;
        }
    };
};

// Power cross-entropy: cross-entropy of s = p^k.
//   l1 = w1 k n,  l0 = -w0 log(1 - s)
// With u = q / (1 - s), finite at both ends: l1' = -w1 k q, l0' = w0 k s u, l0'' = w0 k s u (k u - p).
template <class Real>
struct Power {
    static constexpr int PARAMETERS = 1;
    RealExponent<Real> power;
    Real weight_positive, weight_negative;

    GBM_FOCAL_FUNCTION Power(const double* parameters, double positive, double negative)
        : power(parameters[0]),
          weight_positive(static_cast<Real>(positive)),
          weight_negative(static_cast<Real>(negative)) {}

    static constexpr int PARTS = 3, STAGES = 2;
    template <int STAGE>
    GBM_FOCAL_FUNCTION void stage(Real z, Parts<Real, PARTS>& parts) const {
        tail_stage<STAGE>(z, parts);
    }
    GBM_FOCAL_FUNCTION Margin<Real> at(Real z, const Parts<Real, PARTS>& parts) const {
        return Margin<Real>(z, parts);
    }

    GBM_FOCAL_FUNCTION Real value(const Margin<Real>& at, bool positive) const {
        const Side side(*this, at);
        // Once 1 - s is lost, -log(1 - s) = max(z, 0) - log((1 - s) / exp(-max(z, 0))).
        const Real far = at.positive_part - logarithm(power.value * side.ratio).sum();
        const Real complement = maximum(side.complement, Format<Real>::SMALLEST);
        const Real near = log1p_positive(side.s / complement);
        const Real of_negative = side.complement < Real(1e-20) ? far : near;
        return finite(positive ? weight_positive * (power.value * at.n) : weight_negative * of_negative);
    }

    GBM_FOCAL_FUNCTION Derivatives<Real> exact(const Margin<Real>& at, bool positive) const {
        const Side side(*this, at);
        const Real k = power.value;
        const Real of_positive = weight_positive * k * at.p * at.q;
        const Real of_negative = weight_negative * k * side.s * side.u * (k * side.u - at.p);
        return {gradient(at, side, positive), positive ? of_positive : of_negative};
    }

    GBM_FOCAL_FUNCTION Derivatives<Real> fisher(const Margin<Real>& at, bool positive) const {
        const Side side(*this, at);
        const Real k = power.value;
        const Real hessian = (weight_positive / total(at, side)) * (weight_negative * k * k) * side.u *
                             (side.s * (at.q * side.u));
        return {gradient(at, side, positive), hessian};
    }

    GBM_FOCAL_FUNCTION Real posterior(const Margin<Real>& at) const {
        const Side side(*this, at);
        return weight_negative * side.s * side.u / total(at, side);
    }

   private:
    struct Side {
        Real s, complement, ratio, u;  // p^k, 1 - s, (1 - s) / (k exp(-max(z, 0))), q / (1 - s)

        GBM_FOCAL_FUNCTION Side(const Power& loss, const Margin<Real>& at) {
            const Real k = loss.power.value;
            s = loss.power.power(at.p, at.negative_part, at.softplus);
            const Real kn = finite(k * at.n);
            complement = one_minus_exponential(kn);
            const bool right = at.z > Real(0);
            const Real larger = right ? at.p : at.q;
            ratio = (right ? at.n_over_q * at.p : at.n) * (kn > Format<Real>::SMALLEST ? complement / kn : Real(1));
            u = larger / (k * ratio);
        }
    };

    GBM_FOCAL_FUNCTION Real gradient(const Margin<Real>& at, const Side& side, bool positive) const {
        return power.value * (positive ? -weight_positive * at.q : weight_negative * side.s * side.u);
    }
    GBM_FOCAL_FUNCTION Real total(const Margin<Real>& at, const Side& side) const {
        return maximum(weight_negative * side.s * side.u + weight_positive * at.q, Format<Real>::SMALLEST);
    }
};

// Softmax focal loss over K classes with weights w; gamma 0 is (weighted) cross-entropy.
//   l_t = w_t q_t^g n_t for the true class t, with p = softmax(z), q = 1 - p, n = -log p
//   d l_t / d z_k = w_t A_t (p_k - [k = t]),  A = q^g (1 + g p n / q)
//   posterior: eta_k proportional to p_k / (w_k A_k)
// The margin minimises the expected loss at its own posterior, and there the expected Hessian is
// J^T diag(eta_t w_t f''(p_t)) J, where f(p) = (1 - p)^g (-log p) is convex and J = diag(p) - p p^T: what f' adds
// vanishes, because it is the same for all classes and the p sum to 1. Its diagonal is a sum of positive terms,
//   h_k = S (p_k q_k D_k + p_k^2 sum over t != k of p_t D_t / q_t),
//   D = (q + g p (2 + (g - 1) p n / q)) / (1 + g p n / q),  1 / S = sum of p_t / (w_t A_t).
// For g = 0 it is p_k q_k. n <= q / p makes D positive for every g >= 0.
//
// A row is walked class by class, four times. The largest class is kept apart from the others, whose exponentials
// alone make up its q: 1 - p would cancel.
template <class Real, template <class> class Exponent>
struct SoftmaxFocal {
    static constexpr int PARAMETERS = 1;
    Exponent<Real> gamma;

    explicit GBM_FOCAL_FUNCTION SoftmaxFocal(const double* parameters) : gamma(parameters[0]) {}

    // exp(z - largest). The difference is rounded, which exp would multiply by up to 87, so its remainder counts.
    static GBM_FOCAL_FUNCTION Real relative(Real z, Real largest) {
        const Real difference = z - largest;
        const Real back = z - difference;
        const Real remainder = (z - (difference + back)) + (back - largest);
        const Real result = exponential(difference);
        return difference < -Format<Real>::EXP_LIMIT ? Real(0) : result + result * remainder;
    }

    // What all classes of a row share. others is the sum of exp(z - largest) over all classes but the largest.
    struct Row {
        Real largest, others, softplus;           // softplus = log(1 + others), n of the largest class
        Real inverse, inverse_others, n_over_q;   // 1 / (1 + others), 1 / others, and n / q of the largest class

        GBM_FOCAL_FUNCTION Row(Real largest, Real others) : largest(largest), others(others) {
            using F = Format<Real>;
            softplus = log1p_positive(others);
            inverse = Real(1) / (Real(1) + others);
            inverse_others = Real(1) / maximum(others, F::SMALLEST);
            // n and q of the largest class vanish together.
            n_over_q = others < F::SMALLEST ? Real(1) : softplus * inverse_others * (Real(1) + others);
        }
        GBM_FOCAL_FUNCTION Row(Real largest, Real others, Real softplus, Real inverse, Real inverse_others,
                               Real n_over_q)
            : largest(largest),
              others(others),
              softplus(softplus),
              inverse(inverse),
              inverse_others(inverse_others),
              n_over_q(n_over_q) {}
    };

    // One class of a row, from its relative = exp(z - largest).
    struct Class {
        bool is_largest;
        Real p, q, n, p_over_others;

        GBM_FOCAL_FUNCTION Class(const Row& row, bool is_largest, Real z, Real relative) : is_largest(is_largest) {
            const Real rest = is_largest ? row.others : (Real(1) + row.others) - relative;
            p = relative * row.inverse;
            q = rest * row.inverse;
            n = finite((row.largest - z) + row.softplus);
            p_over_others = relative * row.inverse_others;
        }
    };

    GBM_FOCAL_FUNCTION Real power(const Class& of) const {  // q^g
        return gamma.power(maximum(of.q, Format<Real>::SMALLEST));
    }

    // w A, p D, p D / q and eta / eta of the largest class. The largest has its own formulas, because its q may vanish;
    // it needs no p D / q.
    struct Slopes {
        Real slope, own, own_over_q, odds;
    };
    GBM_FOCAL_FUNCTION Slopes slopes_of_largest(const Row& row, const Class& of, Real w) const {
        const Real g = gamma.value;
        const Real ratio = Real(1) + g * of.p * row.n_over_q;  // A / q^g
        const Real numerator = of.q + g * of.p * (Real(2) + (g - Real(1)) * of.p * row.n_over_q);
        return {w * power(of) * ratio, of.p * numerator / ratio, Real(0), Real(1)};
    }
    // With u = q + g p n, A = q^g u / q and D = (q^2 + g p (2 q + (g - 1) p n)) / u. Here q >= 1/2, so one division
    // serves all.
    GBM_FOCAL_FUNCTION Slopes slopes_of_other(const Class& of, Real w, Real relative, Real slope_of_largest) const {
        const Real g = gamma.value;
        const Real scale = w * power(of);
        const Real pn = of.p * of.n;
        const Real u = of.q + g * pn;
        const Real scaled_u = scale * u;
        const Real inverse = Real(1) / maximum(of.q * scaled_u, Format<Real>::SMALLEST);
        const Real inverse_q = inverse * scaled_u, q_over_scaled_u = of.q * (of.q * inverse);
        const Real bend = of.q * of.q + g * of.p * (Real(2) * of.q + (g - Real(1)) * pn);
        const Real own = of.p * (bend * (scale * (of.q * inverse)));
        return {scaled_u * inverse_q, own, own * inverse_q, relative * (slope_of_largest * q_over_scaled_u)};
    }

    // h / S from p D and p D / q of this class, the sum of p D / q over all classes but the largest, and p D of that.
    static GBM_FOCAL_FUNCTION Real fisher(const Class& of, Real own, Real own_over_q, Real sum_of_others,
                                          Real own_of_largest) {
        const Real rest = of.is_largest ? sum_of_others : maximum(sum_of_others - own_over_q, Real(0));
        const Real across = of.is_largest ? Real(0) : of.p_over_others * own_of_largest;
        return own * of.q + of.p * (of.p * rest + across);
    }

    // Second derivative of l_t / w_t by the margin of t itself.
    GBM_FOCAL_FUNCTION Real exact_of_truth(const Class& truth) const {
        const Real g = gamma.value;
        return power(truth) * truth.p *
               ((Real(1) + Real(2) * g) * truth.q + g * truth.n * (g * truth.p - truth.q));
    }
    // p A' q^(2 - g) of the true class; A' is by p.
    GBM_FOCAL_FUNCTION Real bend(const Class& truth) const {
        const Real g = gamma.value;
        return g * truth.p * (truth.n * (Real(1) - g * truth.p) - Real(2) * truth.q);
    }
    // Second derivative of l_t / w_t by the margin of another class: A p q - (p / q_t)^2 q_t^g bend.
    static GBM_FOCAL_FUNCTION Real exact_of_other(const Class& of, Real p_over_rest, Real slope_of_truth,
                                                  Real bend_of_truth) {
        return slope_of_truth * of.p * of.q - p_over_rest * p_over_rest * bend_of_truth;
    }
};

// ---- one row, as a loop or a thread sees it ----

// How derivatives become what a boosting engine can use: a Hessian of at least |gradient| *
// inverse_max_step, so that no row asks for a longer Newton step, plus floor, so that it is positive.
// {0, -LARGEST} leaves the Hessian bare.
template <class Real>
struct HessianBound {
    Real inverse_max_step, floor;

    GBM_FOCAL_FUNCTION Real raise(Real gradient, Real hessian) const {
        const Real magnitude = maximum(gradient, -gradient);
        return maximum(hessian, magnitude * inverse_max_step + floor);
    }
};

// All stages in a row, for a caller that has no loop to split.
template <int STAGE, class Real, class Loss>
GBM_FOCAL_FUNCTION void run_stages(const Loss& loss, Real z, Parts<Real, Loss::PARTS>& parts) {
    if constexpr (STAGE < Loss::STAGES) {
        loss.template stage<STAGE>(z, parts);
        run_stages<STAGE + 1>(loss, z, parts);
    }
}

template <class Real, class Loss>
GBM_FOCAL_FUNCTION Parts<Real, Loss::PARTS> parts_of(const Loss& loss, Real z) {
    Parts<Real, Loss::PARTS> parts;
    run_stages<0>(loss, z, parts);
    return parts;
}

template <bool EXACT, class Real, class Loss>
GBM_FOCAL_FUNCTION Derivatives<Real> row_derivatives(const Loss& loss, const HessianBound<Real>& bound, Real label,
                                                     Real z, const Parts<Real, Loss::PARTS>& parts, Real weight) {
    const bool positive = label > Real(0.5);
    const auto at = loss.at(z, parts);
    const Derivatives<Real> bare = EXACT ? loss.exact(at, positive) : loss.fisher(at, positive);
    const Real gradient = weight * bare.gradient;
    return {gradient, bound.raise(gradient, weight * bare.hessian)};
}

template <class Real, class Loss>
GBM_FOCAL_FUNCTION Real row_value(const Loss& loss, Real label, Real z, const Parts<Real, Loss::PARTS>& parts,
                                  Real weight) {
    return finite(weight * loss.value(loss.at(z, parts), label > Real(0.5)));
}

template <class Real, class Loss>
GBM_FOCAL_FUNCTION Real row_posterior(const Loss& loss, Real z, const Parts<Real, Loss::PARTS>& parts) {
    return loss.posterior(loss.at(z, parts));
}

// Whether a row can be evaluated: a finite margin and a label of 0 or 1; a finite weight >= 0.
template <class Real>
GBM_FOCAL_FUNCTION bool row_is_valid(Real label, Real margin) {
    using F = Format<Real>;
    return (margin >= -F::LARGEST) & (margin <= F::LARGEST) & ((label == Real(0)) | (label == Real(1)));
}

template <class Real>
GBM_FOCAL_FUNCTION bool weight_is_valid(Real weight) {
    return (weight >= Real(0)) & (weight <= Format<Real>::LARGEST);
}

}  // namespace gbm_focal

// The families of losses of one margin, by name: all that host and device need to know of a new one. Those with POWERS
// take IntegerExponent or RealExponent, whichever their gammas allow; PLAIN ones have no such choice.
#define GBM_FOCAL_FAMILIES(PLAIN, POWERS) \
    POWERS("focal", Focal)                \
    POWERS("asymmetric", Asymmetric)      \
    PLAIN("power", Power)
