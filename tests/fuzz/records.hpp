// SPDX-License-Identifier: GPL-2.0
// Mutating inputs that are a header and records of equal width: libFuzzer knows bytes only, and one that is
// inserted in the middle would shift every field behind it.
#pragma once
#include <cstdint>
#include <cstring>
#include <random>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace tarn::test {

template <size_t kHeader, size_t kWidth>
size_t mutate_records(uint8_t* data, size_t size, size_t max_size, unsigned seed)
{
    std::minstd_rand random(seed);
    if (size < kHeader + kWidth || random() % 16 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    const size_t count = (size - kHeader) / kWidth;
    uint8_t* const one = data + kHeader + random() % count * kWidth;
    uint8_t* const end = data + kHeader + count * kWidth;
    const bool has_room = size + kWidth <= max_size;
    switch (random() % 8) {
        case 0:  // a header byte
            LLVMFuzzerMutate(data, kHeader, kHeader);
            return size;
        case 1:  // one less
            std::memmove(one, one + kWidth, static_cast<size_t>(end - one) - kWidth);
            return size - kWidth;
        case 2:
        case 3:  // one more: a copy, or anything
            if (!has_room)
                break;
            std::memmove(one + kWidth, one, static_cast<size_t>(end - one));
            if (random() % 2)
                for (size_t i = 0; i < kWidth; i++)
                    one[i] = static_cast<uint8_t>(random() >> 8);
            return kHeader + (count + 1) * kWidth;
        default: break;
    }
    LLVMFuzzerMutate(one, kWidth, kWidth);
    return size;
}

}  // namespace tarn::test
