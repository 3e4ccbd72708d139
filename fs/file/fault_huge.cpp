// SPDX-License-Identifier: GPL-2.0
// Page faults of 2 MiB: one PMD for 512 blocks.
//
// Possible where the 512 blocks are one written run that begins on a 2 MiB boundary in memory as it does in
// the file, or none of them is written: a load then maps 2 MiB of zeroes, and a store makes the whole of it
// written first, in one transaction, if there is an aligned run for it. Anything else is left to faults of 4
// KiB, and it is counted why; so is a 2 MiB of which some blocks have entries of their own already: they are
// not joined.
//
// All of it happens under the lock of one entry for the 512 blocks. While that is locked, or stays, nobody
// can have one for a block of them (I5 in fs/dax/tracker.hpp), so what fault.cpp says of one block holds here
// of all: exactly one of two faults allocates, and no zero page, of either size, outlives the first store.
//
// Crash argument: as in fault.cpp. The 2 MiB are zeroed and fenced before the one record that maps them.
#include "cxxrt/mutant.hpp"
#include "fs/file/file.hpp"

namespace tarn {

static_assert(kHugeEntry == kHugeBlocks);

Result<HugeFault> File::fault_huge(tarn_fault* fault, FileBlock first, FaultKind kind,
                                   const InvalidateHeld& held)
{
    NoFsScope nofs;
    std::optional<Changing> changing;
    if (is_store(kind)) {
        TRY(volume_.may_change());
        changing.emplace(object_);
        TRY(note_change());
    }
    if (first + kHugeEntry > file_block_up(size()))
        return HugeFault::kEnd;
    std::optional<LockedEntry> entry = TRY(tracker_.lock_huge(first, held));
    if (!entry)
        return HugeFault::kEntries;
    return map_huge(*entry, fault, kind);
}

Result<HugeFault> File::map_huge(LockedEntry& entry, tarn_fault* fault, FaultKind kind)
{
    Mapping mapping = TRY(look_up(entry.first(), kHugeEntry));
    if (!fits_huge(mapping)) {
        if (!TRY(is_empty(entry.first(), entry.end())))
            return HugeFault::kScattered;
        if (!is_store(kind)) {
            Status zero = entry.install_zero(fault, entry.first(), kHugeEntry);
            if (!zero && zero.error() != Error::kNoMemory)
                return zero.error();
            return zero ? HugeFault::kServed : HugeFault::kNoMemory;
        }
        const std::optional<Mapping> written = TRY(make_written_huge(entry));
        if (!written)
            return HugeFault::kNoSpace;
        mapping = *written;
    }
    TRY(is_store(kind) ? entry.install_writable(fault, pages_of(mapping))
                       : entry.install_readable(fault, pages_of(mapping)));
    return HugeFault::kServed;
}

// No block of it is written.
Result<bool> File::is_empty(FileBlock first, FileBlock end)
{
    while (first < end) {
        const Mapping mapping = TRY(look_up(first, end - first));
        if (mapping.is_written())
            return false;
        first = mapping.end();
    }
    return true;
}

bool File::fits_huge(const Mapping& mapping) const
{
    return mapping.is_written() && mapping.count == kHugeEntry && is_huge_aligned(mapping.device);
}

// Makes the entry's blocks, none of which is written, one written run, zeroed, of which no zero page is
// mapped: two fences. Nothing: there is no aligned run for them, and nothing has changed.
Result<std::optional<Mapping>> File::make_written_huge(LockedEntry& entry)
{
    ExclusiveGuard guard(inode_.lock);
    BlockMap blocks = map();
    const FileBlock at = entry.first();
    const Mapping mapping = TRY(blocks.lookup(nullptr, at, kHugeEntry));
    if (mapping.count < kHugeEntry)
        return std::optional<Mapping>();
    if (mapping.is_hole()) {
        Result<Reserved> reserved = reserve_for(blocks, at, kHugeEntry, kHugeEntry);
        if (!reserved && reserved.error() != Error::kNoSpace)
            return reserved.error();
        if (!reserved || reserved.value().run().count < kHugeEntry ||
            !is_huge_aligned(reserved.value().run().start))
            return std::optional<Mapping>();
        return std::optional(TRY(publish_zeroed(entry, reserved.take().zero(media_))));
    }
    if (!is_huge_aligned(mapping.device))
        return std::optional<Mapping>();
    Unwritten unwritten = TRY(blocks.unwritten(entry, at, kHugeEntry));
    return std::optional(TRY(publish_zeroed(entry, std::move(unwritten).zero(media_))));
}

// A PMD wants pages that begin on a 2 MiB boundary of memory, which is one of the device only where that
// begins on one.
bool File::is_huge_aligned(DeviceBlock block) const { return media_.pfn_of(block).value % kHugeEntry == 0; }

}  // namespace tarn
