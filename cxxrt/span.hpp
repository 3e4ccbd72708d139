// SPDX-License-Identifier: GPL-2.0
// Span<T>: a pointer and a length; subspan is checked. Optional-like pieces come from <optional>.
#pragma once
#include "cxxrt/check.hpp"
#include "cxxrt/types.hpp"

namespace tarn {

template <class T>
class Span {
  public:
    constexpr Span() = default;
    constexpr Span(T* data, usize size) : data_(data), size_(size) {}
    template <usize N>
    constexpr Span(T (&array)[N]) : data_(array), size_(N)
    {
    }
    template <class U>
        requires std::is_same_v<const U, T>
    constexpr Span(Span<U> other) : data_(other.data()), size_(other.size())
    {
    }

    constexpr T* data() const { return data_; }
    constexpr usize size() const { return size_; }
    constexpr bool empty() const { return size_ == 0; }
    constexpr T& operator[](usize index) const
    {
        TARN_ASSERT(index < size_);
        return data_[index];
    }
    constexpr T* begin() const { return data_; }
    constexpr T* end() const { return data_ + size_; }
    constexpr Span first(usize count) const { return subspan(0, count); }
    constexpr Span subspan(usize offset, usize count) const
    {
        TARN_BUG_ON(offset > size_ || count > size_ - offset);
        return Span(data_ + offset, count);
    }
    constexpr Span subspan(usize offset) const { return subspan(offset, size_ - offset); }

  private:
    T* data_ = nullptr;
    usize size_ = 0;
};

using Bytes = Span<const byte>;
using MutableBytes = Span<byte>;

}  // namespace tarn
