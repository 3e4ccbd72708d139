// SPDX-License-Identifier: GPL-2.0
// What each operation may cost: checked on the host (tests/host/cost_*.cpp), and in guests with the real
// modules (tests/guest/cost). Of the median operation: fences, lines written back, bytes stored past the
// cache into the journal and elsewhere. Of the dearest: fences, and bytes that reach the media. The numbers
// are what was measured and a little more; what they must not pass is in the comments.
#pragma once
#include <cstring>

struct Budget {
    const char* operation;
    unsigned long long fences, lines, journal, data;
    unsigned long long most_fences, most_bytes;
};

inline constexpr Budget kBudgets[] = {
    // Names and attributes. Of a create: 512 bytes of journal, 2 KiB in all.
    {"create", 1, 12, 512, 0, 1, 2048},
    {"create, name of 255 bytes", 1, 16, 832, 0, 1, 1920},
    {"mkdir", 1, 12, 512, 0, 1, 1472},
    {"mknod", 1, 11, 512, 0, 1, 1408},
    {"symlink, target of 30 bytes", 1, 12, 512, 0, 1, 1536},
    {"symlink, target of 200 bytes", 2, 14, 640, 4096, 2, 6272},
    {"link", 1, 10, 512, 0, 1, 1280},
    {"unlink, not the last name", 1, 9, 448, 0, 1, 1088},
    {"unlink, the last name", 1, 10, 512, 0, 1, 1280},
    {"rmdir", 1, 10, 512, 0, 1, 1280},
    {"last close of a removed file without blocks", 1, 6, 320, 0, 1, 704},
    {"rename in a directory", 1, 9, 384, 0, 1, 1152},
    {"rename across directories", 1, 15, 704, 0, 1, 2048},
    {"rename of a directory across", 1, 15, 768, 0, 1, 2048},
    {"rename across over a file", 1, 15, 640, 0, 1, 1728},
    {"chmod, chown, utimes", 1, 3, 256, 0, 1, 384},
    {"first extended attribute, 40 bytes", 1, 72, 384, 0, 1, 4992},
    {"extended attribute of 40 bytes replaced", 1, 4, 256, 0, 1, 512},
    {"extended attribute of 5000 bytes replaced", 2, 6, 256, 8192, 2, 8960},
    {"removal of the last extended attribute", 1, 6, 320, 0, 1, 704},
    {"write of unchanged times", 0, 0, 0, 0, 0, 0},
    {"create in a directory that grows to 10,000", 1, 11, 512, 0, 3, 27392},
    {"create in a directory of 10,000", 1, 11, 512, 0, 1, 8640},
    {"create that retires the journals", 3, 24065, 704, 0, 3, 1580256},
    // Contents. Of an append of 4 KiB: 512 bytes beside its data, that is 64 for each line and the journal.
    {"append of 4 KiB", 2, 5, 192, 4096, 2, 4800},
    {"append of 16 KiB", 2, 5, 192, 16384, 2, 17344},
    {"append of 128 bytes", 2, 3, 128, 128, 2, 4800},
    {"append of 100 bytes over the end of a block", 2, 5, 192, 4146, 2, 8896},
    {"overwrite of 64 bytes", 1, 0, 0, 64, 1, 64},
    {"overwrite of 4 KiB", 1, 0, 0, 4096, 1, 4096},
    {"write of 64 bytes into a hole", 2, 7, 256, 4096, 2, 9088},
    {"write of 4 KiB into a hole", 2, 7, 256, 4096, 2, 9088},
    {"write of 4 KiB into an unwritten block", 2, 7, 256, 4096, 2, 13440},
    {"truncate up", 1, 3, 128, 0, 1, 384},
    {"truncate up over a tail", 2, 3, 128, 4091, 2, 4480},
    {"truncate down by a block", 1, 5, 192, 0, 1, 576},
    {"truncate down in a block", 1, 3, 128, 2048, 1, 2432},
    {"fallocate of 1 MiB", 1, 5, 192, 0, 1, 704},
    {"fallocate of 1 MiB behind the end", 1, 5, 192, 0, 1, 576},
    {"punch a hole of a block", 1, 7, 256, 0, 1, 4928},
    {"punch 100 bytes", 1, 0, 0, 100, 1, 100},
    {"zero a block", 1, 7, 256, 0, 1, 9216},
    {"read fault on a hole", 0, 0, 0, 0, 0, 0},
    {"write fault on a hole", 2, 6, 192, 4096, 2, 8960},
    {"write fault on an unwritten block", 2, 2, 64, 4096, 2, 11136},
    {"read fault on a written block", 0, 0, 0, 0, 0, 0},
    {"write fault on a written block (mkwrite)", 0, 0, 0, 0, 0, 0},
    {"fsync, nothing dirty", 0, 0, 0, 0, 0, 0},
    {"fsync, times only", 1, 3, 128, 0, 1, 384},
    {"fsync, 1 dirty page", 2, 66, 128, 0, 2, 4480},
    {"fsync, 256 dirty pages", 2, 16386, 128, 0, 2, 1069824},
    {"last close of a removed file of 64 KiB", 2, 10, 384, 0, 2, 1088},
};

inline const Budget* budget_of(const char* operation)
{
    for (const Budget& budget : kBudgets)
        if (!strcmp(budget.operation, operation))
            return &budget;
    return nullptr;
}
