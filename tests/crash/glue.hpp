// SPDX-License-Identifier: GPL-2.0
// What the kernel is to the core, as little of it as the crash explorer needs: one process that maps files,
// and memory to read into and write from.
#pragma once
#include <map>
#include <optional>

#include "cxxrt/types.hpp"

namespace tarn::crash {

// The pages of one file that are mapped writable, by block.
class MappedPages {
  public:
    void zap(u64 block, u64 count)
    {
        const u64 end = block + count < block ? ~u64{0} : block + count;
        pages_.erase(pages_.lower_bound(block), pages_.lower_bound(end));
    }
    void install(u64 block, u64 pfn) { pages_[block] = pfn; }
    std::optional<u64> writable(u64 block) const
    {
        auto found = pages_.find(block);
        return found == pages_.end() ? std::nullopt : std::optional(found->second);
    }

  private:
    std::map<u64, u64> pages_;
};

}  // namespace tarn::crash

struct tarn_fault {
    tarn::crash::MappedPages* pages;
};

struct tarn_user {
    char* data;
    unsigned long long length;
    unsigned long long position = 0;
    unsigned long long piece = ~0ull;  // so much at a time can be copied from it: then a page is not resident
};
