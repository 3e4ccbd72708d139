// SPDX-License-Identifier: GPL-2.0
// SipHash-2-4, written from the paper: "SipHash: a fast short-input PRF", Aumasson and Bernstein, 2012.
#include "fs/tree/hash.hpp"

namespace tarn {

namespace {

constexpr u32 kHashBits = 47;
constexpr u32 kDisambiguatorBits = 16;

class SipState {
  public:
    SipState(u64 key0, u64 key1)
        : v0_(key0 ^ 0x736f6d6570736575),
          v1_(key1 ^ 0x646f72616e646f6d),
          v2_(key0 ^ 0x6c7967656e657261),
          v3_(key1 ^ 0x7465646279746573)
    {
    }
    void absorb(u64 word)
    {
        v3_ ^= word;
        round();
        round();
        v0_ ^= word;
    }
    u64 finish()
    {
        v2_ ^= 0xff;
        for (int i = 0; i < 4; i++)
            round();
        return v0_ ^ v1_ ^ v2_ ^ v3_;
    }

  private:
    void round()
    {
        v0_ += v1_;
        v1_ = std::rotl(v1_, 13) ^ v0_;
        v0_ = std::rotl(v0_, 32);
        v2_ += v3_;
        v3_ = std::rotl(v3_, 16) ^ v2_;
        v0_ += v3_;
        v3_ = std::rotl(v3_, 21) ^ v0_;
        v2_ += v1_;
        v1_ = std::rotl(v1_, 17) ^ v2_;
        v2_ = std::rotl(v2_, 32);
    }

    u64 v0_, v1_, v2_, v3_;
};

}  // namespace

u64 siphash24(u64 key0, u64 key1, Bytes data)
{
    SipState state(key0, key1);
    usize at = 0;
    for (; at + kWordSize <= data.size(); at += kWordSize) {
        u64 word;
        __builtin_memcpy(&word, data.data() + at, sizeof word);
        state.absorb(word);
    }
    u64 last = u64{data.size()} << 56;
    for (u32 shift = 0; at < data.size(); at++, shift += 8)
        last |= static_cast<u64>(data[at]) << shift;
    state.absorb(last);
    return state.finish();
}

u64 name_key(const u64 seed[2], Bytes name)
{
    const u64 hash = siphash24(seed[0], seed[1], name) & ((u64{1} << kHashBits) - 1);
    return (hash ? hash : 1) << kDisambiguatorBits;
}

}  // namespace tarn
