// SPDX-License-Identifier: GPL-2.0
// KUnit: ranges of a disk, and how far the kernel's list of bad sectors lets one go in them.
#include "kunit/pmem/machine.hpp"

using namespace tarn;
using tarn::kunit::Machine;

TARN_KUNIT_CASE(ranges_read_write)
{
    Machine machine(4);
    TARN_REQUIRE(machine.exists());
    TARN_EXPECT(machine.write(4095, 2, 7) == 0);
    unsigned char back[4] = {};
    TARN_EXPECT(tarn_pmem_begin_read(machine.disk(), 4094, 4) == 0);
    TARN_EXPECT(tarn_pmem_read(machine.disk(), 4094, back, 4) == 0);
    TARN_EXPECT(back[0] == 0 && back[1] == 7 && back[2] == 7 && back[3] == 0);
}

TARN_KUNIT_CASE(ranges_end_of_disk)
{
    Machine machine(4);
    TARN_REQUIRE(machine.exists());
    unsigned char byte = 0;
    TARN_EXPECT(tarn_pmem_read(machine.disk(), 4 * 4096, &byte, 1) == -22);
    TARN_EXPECT(tarn_pmem_read(machine.disk(), ~0ull, &byte, 1) == -22);
    TARN_EXPECT(machine.write(4 * 4096 - 1, 2, 1) == -22);
    TARN_EXPECT(tarn_pmem_zero(machine.disk(), 0, 4 * 4096 + 1) == -22);
    TARN_EXPECT(tarn_pmem_reach(machine.disk(), 4, 1, TARN_PMEM_ACCESS) == 0);
    TARN_EXPECT(tarn_pmem_reach(machine.disk(), 3, 100, TARN_PMEM_ACCESS) == 1);
}

TARN_KUNIT_CASE(ranges_reach_stops_before_bad)
{
    Machine machine(16);
    TARN_REQUIRE(machine.exists());
    machine.make_bad(5 * 8 + 7, 2);
    TARN_EXPECT(tarn_pmem_reach(machine.disk(), 0, 16, TARN_PMEM_ACCESS) == 5);
    TARN_EXPECT(tarn_pmem_reach(machine.disk(), 5, 16, TARN_PMEM_ACCESS) == -133);
    TARN_EXPECT(tarn_pmem_reach(machine.disk(), 6, 16, TARN_PMEM_ACCESS) == -133);
    TARN_EXPECT(tarn_pmem_reach(machine.disk(), 6, 16, TARN_PMEM_RECOVERY) == 1);
    TARN_EXPECT(tarn_pmem_reach(machine.disk(), 7, 16, TARN_PMEM_ACCESS) == 9);
}

// 8 TiB: sector numbers past 32 bits.
TARN_KUNIT_CASE(ranges_bad_far_away)
{
    constexpr u64 kPages = u64{1} << 31;
    Machine machine(1, kPages);
    TARN_REQUIRE(machine.exists());
    const u64 page = kPages - 3;
    machine.make_bad(page * 8, 8);
    TARN_EXPECT(tarn_pmem_reach(machine.disk(), page - 10, 100, TARN_PMEM_ACCESS) == 10);
    TARN_EXPECT(tarn_pmem_reach(machine.disk(), page, 1, TARN_PMEM_ACCESS) == -133);
    TARN_EXPECT(tarn_pmem_reach(machine.disk(), page + 1, 100, TARN_PMEM_ACCESS) == 2);
    TARN_EXPECT(tarn_pmem_begin_read(machine.disk(), page * 4096 - 512, 512) == 0);
    TARN_EXPECT(tarn_pmem_begin_read(machine.disk(), page * 4096 - 512, 513) == -5);
}

TARN_KUNIT_CASE(ranges_many_bad_runs)
{
    Machine machine(64);
    TARN_REQUIRE(machine.exists());
    for (u64 sector = 3; sector < 64 * 8; sector += 8)
        machine.make_bad(sector, 1);
    TARN_EXPECT(machine.write(0, 64 * 4096, 1) == 0);
    TARN_EXPECT(machine->clears == 64);
    TARN_EXPECT(tarn_pmem_reach(machine.disk(), 0, 64, TARN_PMEM_ACCESS) == 64);
}

TARN_KUNIT_CASE(ranges_zero_in_steps)
{
    Machine machine(1024);
    TARN_REQUIRE(machine.exists());
    machine.at(511) = machine.at(512) = machine.at((3 << 20) + 511) = machine.at((3 << 20) + 512) = 9;
    TARN_EXPECT(tarn_pmem_zero(machine.disk(), 512, 3 << 20) == 0);
    TARN_EXPECT(machine.at(511) == 9 && machine.at(512) == 0);
    TARN_EXPECT(machine.at((3 << 20) + 511) == 0 && machine.at((3 << 20) + 512) == 9);
    TARN_EXPECT(machine->pauses == 2);
}
