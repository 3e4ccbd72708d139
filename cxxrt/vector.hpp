// SPDX-License-Identifier: GPL-2.0
// Vector<T, N>: a growing array whose first N elements live in place. push() says when there is no memory.
// T must be movable; elements may move when the vector grows.
#pragma once
#include <new>

#include "cxxrt/result.hpp"
#include "cxxrt/span.hpp"

namespace tarn {

template <class T, usize N>
class Vector {
  public:
    Vector() = default;
    Vector(const Vector&) = delete;
    Vector& operator=(const Vector&) = delete;
    ~Vector()
    {
        clear();
        if (data_ != in_place())
            tarn_memory_free(data_);
    }

    usize size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T& operator[](usize index)
    {
        TARN_ASSERT(index < size_);
        return data_[index];
    }
    const T& operator[](usize index) const
    {
        TARN_ASSERT(index < size_);
        return data_[index];
    }
    T* begin() { return data_; }
    T* end() { return data_ + size_; }
    const T* begin() const { return data_; }
    const T* end() const { return data_ + size_; }
    T& back() { return (*this)[size_ - 1]; }

    // Makes room for one more element, so that the next push cannot fail. May sleep.
    Status reserve_one() { return size_ < capacity_ ? Status(Ok{}) : grow(); }
    Status push(T value)
    {
        TRY(reserve_one());
        new (data_ + size_) T(std::move(value));
        size_++;
        return Ok{};
    }
    void pop()
    {
        TARN_ASSERT(size_ > 0);
        data_[--size_].~T();
    }
    void clear()
    {
        while (size_)
            pop();
    }

  private:
    T* in_place() { return reinterpret_cast<T*>(storage_); }
    Status grow()
    {
        usize capacity = capacity_ * 2;
        T* data = static_cast<T*>(tarn_memory_alloc_large(capacity * sizeof(T)));
        if (!data)
            return Error::kNoMemory;
        for (usize i = 0; i < size_; i++) {
            new (data + i) T(std::move(data_[i]));
            data_[i].~T();
        }
        if (data_ != in_place())
            tarn_memory_free(data_);
        data_ = data;
        capacity_ = capacity;
        return Ok{};
    }

    alignas(T) unsigned char storage_[N * sizeof(T)];
    T* data_ = in_place();
    usize size_ = 0;
    usize capacity_ = N;
};

}  // namespace tarn
