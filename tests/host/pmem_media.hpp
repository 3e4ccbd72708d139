// SPDX-License-Identifier: GPL-2.0
// A machine for the pmem core's tests: memory with bad sectors, a platform that clears poison (or does not),
// pages that the kernel has marked as failed, flushes that are counted (or fail). It answers the tarn_media_
// functions of pmem/pmem.h (in pmem_media.cpp) and keeps a log of what was asked in which order.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "cxxrt/host/host.hpp"
#include "pmem/disk.hpp"

namespace tarn::pmem::test {

class Media {
  public:
    explicit Media(u64 pages);
    Media(const Media&) = delete;
    Media& operator=(const Media&) = delete;

    const tarn_pmem_disk& c_disk() const { return disk_; }
    tarn_pmem_disk& c_disk() { return disk_; }
    Disk disk() const { return Disk(disk_); }

    // Makes sectors bad: they are in the list, and loading from them fails.
    void poison(u64 sector, u64 count);
    // Loading fails, but nobody knows yet.
    void poison_secretly(u64 sector, u64 count);
    std::string bytes(u64 offset, u64 length) const;
    void fill(char with);

    std::set<u64> bad;       // the list
    std::set<u64> poisoned;  // the truth
    std::set<u64> blocked;   // pages the kernel has marked
    std::vector<std::string> log;
    u64 can_clear = ~u64{0};  // bytes per call that the platform clears
    bool clear_fails = false;
    int flush_result = 0;
    unsigned pauses = 0;
    u64 absent_from = ~u64{0};  // from this byte on nothing remembers what is stored

    unsigned char* base() { return memory_.data(); }

  private:
    static int on_event(void* context, const host::Event& event);
    std::vector<unsigned char> memory_;
    host::Backing backing_;
    tarn_pmem_disk disk_ = {};
};

}  // namespace tarn::pmem::test
