// SPDX-License-Identifier: GPL-2.0
// A machine for one KUnit case, and the requests that cases make of its disk.
#pragma once
#include "kunit/kunit.hpp"
#include "kunit/pmem/machine.h"
#include "pmem/disk.hpp"

namespace tarn::kunit {

using namespace tarn::pmem;

class Machine {
  public:
    explicit Machine(u64 pages, u64 claimed = 0)
        : machine_(tarn_kunit_machine_create(pages, claimed ? claimed : pages))
    {
    }
    ~Machine()
    {
        if (machine_)
            tarn_kunit_machine_destroy(machine_);
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    bool exists() const { return machine_ != nullptr; }
    tarn_kunit_machine* operator->() const { return machine_; }
    tarn_pmem_disk* disk() const { return &machine_->disk; }
    unsigned char& at(u64 offset) const { return machine_->disk.memory.base[offset]; }

    void make_bad(u64 sector, u64 count) const { tarn_media_add_bad(machine_, sector, count); }
    bool is_bad(u64 sector) const { return BadBlocks(machine_).any_in({Sector(sector), 1}); }

    // Writes `length` times `value` as one request. Returns 0 or an errno.
    int write(u64 offset, u64 length, unsigned char value) const
    {
        int error = tarn_pmem_begin_write(disk(), offset, length);
        for (u64 n = 0; n < length && !error; n++)
            error = tarn_pmem_write(disk(), offset + n, &value, 1);
        if (!error)
            tarn_pmem_end_write(disk(), offset, length);
        return error;
    }

  private:
    tarn_kunit_machine* machine_;
};

}  // namespace tarn::kunit
