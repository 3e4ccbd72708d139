// SPDX-License-Identifier: GPL-2.0
// KUnit: what poison does to requests, with the kernel's own list of bad sectors.
#include "kunit/pmem/machine.hpp"

using namespace tarn;
using tarn::kunit::Machine;

TARN_KUNIT_CASE(poison_write_heals)
{
    Machine machine(4);
    TARN_REQUIRE(machine.exists());
    machine.make_bad(9, 2);
    TARN_EXPECT(tarn_pmem_begin_read(machine.disk(), 9 * 512, 1) == -5);
    TARN_EXPECT(machine.write(8 * 512, 4 * 512, 1) == 0);
    TARN_EXPECT(!machine.is_bad(9) && !machine.is_bad(10));
    TARN_EXPECT(tarn_pmem_begin_read(machine.disk(), 9 * 512, 1024) == 0);
}

TARN_KUNIT_CASE(poison_part_of_a_sector)
{
    Machine machine(4);
    TARN_REQUIRE(machine.exists());
    machine.make_bad(9, 1);
    TARN_EXPECT(machine.write(9 * 512 + 1, 511, 1) == -5);
    TARN_EXPECT(machine.write(8 * 512, 1023, 1) == -5);
    TARN_EXPECT(machine.is_bad(9) && machine->clears == 0 && machine.at(8 * 512) == 0);
}

TARN_KUNIT_CASE(poison_that_cannot_be_cleared)
{
    Machine machine(4);
    TARN_REQUIRE(machine.exists());
    machine.make_bad(9, 1);
    machine->clear_error = -6;
    TARN_EXPECT(machine.write(4096, 4096, 1) == -5);
    TARN_EXPECT(machine.is_bad(9) && machine.at(4096) == 0);
    TARN_EXPECT(tarn_pmem_discard(machine.disk(), 0, 4 * 4096) == 0);
    TARN_EXPECT(machine.is_bad(9));
}

TARN_KUNIT_CASE(poison_half_cleared_stays_bad)
{
    Machine machine(4);
    TARN_REQUIRE(machine.exists());
    machine.make_bad(8, 4);
    machine->clear_limit = 1024;
    TARN_EXPECT(machine.write(4096, 4096, 1) == -5);
    TARN_EXPECT(machine.is_bad(8) && machine.is_bad(11));
}

TARN_KUNIT_CASE(poison_blocked_page)
{
    Machine machine(4);
    TARN_REQUIRE(machine.exists());
    machine.make_bad(8, 8);
    machine->blocked_page = 1;
    TARN_EXPECT(machine.write(4096, 512, 1) == -5);
    TARN_EXPECT(machine->unblocks == 0 && machine.at(4096) == 0);
    TARN_EXPECT(machine.write(4096, 4096, 1) == 0);
    TARN_EXPECT(machine->unblocks == 1 && !machine.is_bad(8));
}

TARN_KUNIT_CASE(poison_discard_heals)
{
    Machine machine(4);
    TARN_REQUIRE(machine.exists());
    machine.at(4 * 512) = machine.at(3 * 512) = 5;
    machine.make_bad(4, 1);
    TARN_EXPECT(tarn_pmem_discard(machine.disk(), 0, 4096) == 0);
    TARN_EXPECT(!machine.is_bad(4));
    TARN_EXPECT(machine.at(4 * 512) == 0 && machine.at(3 * 512) == 5);
}

TARN_KUNIT_CASE(poison_failure_is_listed)
{
    Machine machine(4);
    TARN_REQUIRE(machine.exists());
    const u64 start = machine->disk.memory.first_pfn * 4096;
    unsigned long long offset = 0;
    unsigned long long length = 0;
    TARN_EXPECT(tarn_pmem_failure(machine.disk(), start + 4096, 4096, 0, &offset, &length) == 0);
    TARN_EXPECT(offset == 4096 && length == 4096 && !machine.is_bad(8));
    TARN_EXPECT(tarn_pmem_failure(machine.disk(), start + 4096, 4096, 1, &offset, &length) == 0);
    TARN_EXPECT(machine.is_bad(8) && machine.is_bad(15) && !machine.is_bad(16));
    TARN_EXPECT(tarn_pmem_failure(machine.disk(), start + 4 * 4096, 4096, 1, &offset, &length) == -6);
}
