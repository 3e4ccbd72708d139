// SPDX-License-Identifier: GPL-2.0
// Atomic<T>: integers and pointers shared between threads without a lock. The order is in the method's name.
#pragma once
#include "cxxrt/types.hpp"

namespace tarn {

template <class T>
class Atomic {
  public:
    constexpr Atomic() = default;
    constexpr explicit Atomic(T value) : value_(value) {}
    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;

    T load_relaxed() const { return __atomic_load_n(&value_, __ATOMIC_RELAXED); }
    T load_acquire() const { return __atomic_load_n(&value_, __ATOMIC_ACQUIRE); }
    void store_relaxed(T value) { __atomic_store_n(&value_, value, __ATOMIC_RELAXED); }
    void store_release(T value) { __atomic_store_n(&value_, value, __ATOMIC_RELEASE); }
    // The value before the addition; sequentially consistent.
    T fetch_add(T n) { return __atomic_fetch_add(&value_, n, __ATOMIC_SEQ_CST); }
    T fetch_sub(T n) { return __atomic_fetch_sub(&value_, n, __ATOMIC_SEQ_CST); }
    // The value before; sequentially consistent.
    T exchange(T value) { return __atomic_exchange_n(&value_, value, __ATOMIC_SEQ_CST); }
    // Stores `desired` if the value is `expected`; otherwise loads it into `expected`.
    bool compare_exchange(T& expected, T desired)
    {
        return __atomic_compare_exchange_n(&value_, &expected, desired, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED);
    }

  private:
    T value_{};
};

}  // namespace tarn
