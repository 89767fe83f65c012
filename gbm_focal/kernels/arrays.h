// How the loops get at the caller's arrays, of any type and stride: block after block.
//
// A block of an array that is already contiguous and of the computing type is used in place; any other type or stride
// passes through a small buffer. So one vectorised loop serves every layout, and nothing of the size of the data is
// allocated.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "rows.h"

namespace gbm_focal {
namespace {

namespace nb = nanobind;

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

}  // namespace
}  // namespace gbm_focal
