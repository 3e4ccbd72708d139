// SPDX-License-Identifier: GPL-2.0
// Box<T>: sole owner of a heap object; creation says when there is no memory. Array<T>: the same for n of them.
// There is no global operator new: an allocation that can fail is always a Result.
#pragma once
#include <new>

#include "cxxrt/result.hpp"

namespace tarn {

template <class T>
class [[nodiscard]] Box {
  public:
    constexpr Box() = default;
    Box(Box&& other) : pointer_(std::exchange(other.pointer_, nullptr)) {}
    Box& operator=(Box&& other)
    {
        if (this != &other) {
            reset();
            pointer_ = std::exchange(other.pointer_, nullptr);
        }
        return *this;
    }
    ~Box() { reset(); }

    // Allocates and constructs; may sleep (NOFS).
    template <class... Args>
    static Result<Box> create(Args&&... args)
    {
        static_assert(alignof(T) <= 8 || sizeof(T) >= kBlockSize);
        void* memory = tarn_memory_alloc(sizeof(T));
        if (!memory)
            return Error::kNoMemory;
        return Box(new (memory) T(std::forward<Args>(args)...));
    }
    // Takes over what release() gave out.
    static Box adopt(T* pointer) { return Box(pointer); }

    T* get() const { return pointer_; }
    T& operator*() const { return *pointer_; }
    T* operator->() const { return pointer_; }
    explicit operator bool() const { return pointer_ != nullptr; }
    [[nodiscard]] T* release() { return std::exchange(pointer_, nullptr); }
    void reset()
    {
        if (T* old = std::exchange(pointer_, nullptr)) {
            old->~T();
            tarn_memory_free(old);
        }
    }

  private:
    explicit Box(T* pointer) : pointer_(pointer) {}
    T* pointer_ = nullptr;
};

// A fixed number of default-constructed objects.
template <class T>
class [[nodiscard]] Array {
  public:
    constexpr Array() = default;
    Array(Array&& other)
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, usize{0}))
    {
    }
    Array& operator=(Array&& other)
    {
        if (this != &other) {
            reset();
            data_ = std::exchange(other.data_, nullptr);
            size_ = std::exchange(other.size_, usize{0});
        }
        return *this;
    }
    ~Array() { reset(); }

    // Allocates zeroed memory and constructs `count` objects; may sleep (NOFS).
    static Result<Array> create(usize count)
    {
        usize bytes = 0;
        if (__builtin_mul_overflow(count, sizeof(T), &bytes))
            return Error::kNoMemory;
        void* memory = tarn_memory_alloc_large(bytes ? bytes : 1);
        if (!memory)
            return Error::kNoMemory;
        Array array;
        array.data_ = static_cast<T*>(memory);
        array.size_ = count;
        if constexpr (!std::is_trivially_default_constructible_v<T>)
            for (usize i = 0; i < count; i++)
                new (array.data_ + i) T();
        return array;
    }

    T* data() const { return data_; }
    usize size() const { return size_; }
    T& operator[](usize index) const
    {
        TARN_ASSERT(index < size_);
        return data_[index];
    }
    T* begin() const { return data_; }
    T* end() const { return data_ + size_; }
    void reset()
    {
        if constexpr (!std::is_trivially_destructible_v<T>)
            for (usize i = 0; i < size_; i++)
                data_[i].~T();
        tarn_memory_free(data_);
        data_ = nullptr;
        size_ = 0;
    }

  private:
    T* data_ = nullptr;
    usize size_ = 0;
};

}  // namespace tarn
