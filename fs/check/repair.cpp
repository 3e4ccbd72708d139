// SPDX-License-Identifier: GPL-2.0
// repair(): the rounds. What is decided and why a crash does no harm is in repair.hpp.
#include "fs/check/repair.hpp"

#include <cstring>

#include "fs/check/connect.hpp"
#include "fs/txn/record.hpp"

namespace tarn {

namespace {

// One for what is met at once, one for what only shows then (names of what was cleared, blocks of what was
// cut), one to connect; each may be needed again when there was no space. More says that something does not
// get on.
constexpr u32 kMostRounds = 10;

// ---- journals ---------------------------------------------------------------------------------------------

struct JournalHeads {
    Vector<u32, 8> lost;  // journals without a good slot
    u64 floor = 0;        // highest of the others
};

Status read_heads(const Media& media, const Layout& layout, JournalHeads& heads)
{
    for (u32 journal = 0; journal < layout.journals; journal++) {
        bool found = false;
        for (u32 i = 0; i < TARNFS_JOURNAL_SLOTS; i++) {
            const auto& slot =
                reinterpret_cast<const tarnfs_journal_slot*>(media.at(layout.journal(journal)))[i];
            if (!is_good_slot(layout, journal, slot))
                continue;
            found = true;
            heads.floor = max<u64>(heads.floor, slot.floor);
        }
        if (!found)
            TRY(heads.lost.push(journal));
    }
    return Ok{};
}

// A whole record at a place in a ring.
bool is_record(const Media& media, const Layout& layout, u32 journal, u64 at)
{
    const byte* bytes = media.at(layout.journal(journal) + 1) + at;
    const auto& header = *reinterpret_cast<const tarnfs_record*>(bytes);
    return header.magic == TARNFS_RECORD_MAGIC && header.journal == journal &&
           memcmp(header.uuid, layout.uuid, sizeof(header.uuid)) == 0 && header.bytes >= sizeof(header) &&
           header.bytes <= TARNFS_RECORD_MAX && header.bytes <= layout.ring_bytes() - at &&
           is_possible(header.sequence) &&
           header.crc == structure_crc(bytes, header.bytes, offsetof(tarnfs_record, crc));
}

// A slot for a journal that has none: it begins with the lowest record that the other journals' floor does
// not cover. Without such a record, or without a floor, it is empty.
tarnfs_journal_slot new_slot(const Media& media, const Layout& layout, u32 journal, u64 floor)
{
    tarnfs_journal_slot slot{};
    u64 first = 0, last = 0;
    for (u64 at = 0; at < layout.ring_bytes(); at += TARNFS_RECORD_ALIGN) {
        if (!is_record(media, layout, journal, at))
            continue;
        const auto& header =
            header_of(Bytes(media.at(layout.journal(journal) + 1) + at, sizeof(tarnfs_record)));
        last = max<u64>(last, header.sequence);
        const bool needed = floor && header.sequence >= floor;
        if (needed && (!first || header.sequence < first)) {
            first = header.sequence;
            slot.tail = at;
            slot.lap = header.lap;
        } else if (!first) {
            slot.lap = max<u32>(slot.lap, header.lap + 2);  // what is in the ring is not taken for new
        }
    }
    slot.magic = TARNFS_JOURNAL_MAGIC;
    memcpy(slot.uuid, layout.uuid, sizeof(slot.uuid));
    slot.journal = journal;
    slot.floor = floor ? floor : last + 1;
    slot.update = 1;
    slot.crc = structure_crc(&slot, sizeof(slot), offsetof(tarnfs_journal_slot, crc));
    return slot;
}

// ---- rounds -----------------------------------------------------------------------------------------------

class Repairer {
  public:
    Repairer(const tarn_device& device, const Layout& layout, const CheckReporter& reporter,
             const Approval& approval)
        : device_(device), layout_(layout), reporter_(reporter), approval_(approval)
    {
    }

    Result<Repaired> run()
    {
        if (TRY(look(kSilently)))
            return result_;
        TRY(restore_journals());
        for (u32 round = 0; round < kMostRounds; round++)
            if (!TRY(go_round()))
                break;
        TRY(look(left_ ? kSilently : kAloud));
        return result_;
    }

  private:
    // The whole check. True: nothing is wrong, and nothing left for the next mount to finish.
    enum Voice : u8 { kSilently, kAloud };
    Result<bool> look(Voice voice)
    {
        CheckReporter reporter = reporter_;
        if (voice == kSilently)
            reporter.problem = [](void*, const char*, __builtin_va_list) {};
        Volume volume(device_, layout_);
        const Status opened = volume.open(Volume::Access::kReadOnly);
        result_.remaining = TRY(check(volume, reporter));
        result_.remaining.problems += !opened.is_ok() && result_.remaining.problems == 0;
        return result_.remaining.problems == 0 && result_.remaining.orphans == 0;
    }

    __attribute__((format(printf, 2, 3))) void report(const char* format, ...)
    {
        __builtin_va_list arguments;
        __builtin_va_start(arguments, format);
        reporter_.problem(reporter_.context, format, arguments);
        __builtin_va_end(arguments);
    }

    Status restore_journals()
    {
        Media media(device_);
        JournalHeads heads;
        TRY(read_heads(media, layout_, heads));
        for (const u32 journal : heads.lost) {
            report("block %llu: journal %u: neither header slot is good",
                   static_cast<unsigned long long>(layout_.journal(journal).value), journal);
            if (!approval_.approve(approval_.context, Fix::kJournal))
                return Error::kBadJournal;
            const tarnfs_journal_slot slot = new_slot(media, layout_, journal, heads.floor);
            media.log(
                media.writable(layout_.journal(journal)) + slot.update % TARNFS_JOURNAL_SLOTS * sizeof(slot),
                &slot, sizeof(slot));
            result_.fixed++;
        }
        return media.fence();
    }

    // True: something was done, so there may be more to do.
    Result<bool> go_round()
    {
        auto state = TRY(Box<RepairState>::create(approval_, layout_));
        const CheckSummary found = TRY(check_and_repair(*state));
        const u64 detached = state->detached.size();
        left_ = state->refused != 0 && state->fixed == 0;
        result_.fixed += state->fixed - detached;
        if (found.problems != detached || state->refused)
            return state->fixed > 0;
        if (detached == 0 && found.orphans == 0)
            return false;
        Status connected = connect(device_, state->detached);
        if (connected.is_ok()) {
            result_.fixed += detached;
            result_.finished += found.orphans;
            return true;
        }
        report("inodes that nothing names, or orphans: %s", describe(connected.error()));
        if (connected.error() == Error::kNoSpace || is_corruption(connected.error()))
            return false;
        return connected.error();
    }

    Result<CheckSummary> check_and_repair(RepairState& state)
    {
        Volume volume(device_, layout_);
        // A bitmap that is damaged is no obstacle: the journals have been replayed by then.
        Status opened = volume.open(Volume::Access::kReadOnly);
        if (!opened.is_ok() && opened.error() != Error::kBadBitmap)
            return opened.error();
        TRY(volume.set_read_write());
        auto checker = TRY(Box<Checker>::create(volume, reporter_, &state));
        TRY(checker->run());
        TRY(volume.close());
        return checker->summary();
    }

    const tarn_device& device_;
    const Layout& layout_;
    const CheckReporter& reporter_;
    const Approval& approval_;
    Repaired result_;
    bool left_ = false;  // the last round has reported what is left
};

}  // namespace

const char* describe(Fix fix)
{
    switch (fix) {
        case Fix::kSuperblock: return "Restore the superblock from its other copy";
        case Fix::kJournal: return "Give the journal a new header; what cannot be found in it is lost";
        case Fix::kTable: return "Search the device for the inode table's blocks";
        case Fix::kRecord: return "Restore the inode, or clear it where that is not possible";
        case Fix::kField: return "Correct the inode's fields";
        case Fix::kContents: return "Cut off what is damaged in the file";
        case Fix::kEntries: return "Remove or move the directory entries";
        case Fix::kXattrs: return "Remove or move the extended attributes";
        case Fix::kDetached: return "Connect the inode to /lost+found";
        case Fix::kLinks: return "Correct the link count";
        case Fix::kBitmap: return "Correct the bitmap";
        default: return "Nothing can be done";
    }
}

bool is_safe(Fix fix)
{
    return fix == Fix::kSuperblock || fix == Fix::kField || fix == Fix::kLinks || fix == Fix::kBitmap;
}

Result<Repaired> repair(const tarn_device& device, const Layout& layout, const CheckReporter& reporter,
                        const Approval& approval)
{
    auto repairer = TRY(Box<Repairer>::create(device, layout, reporter, approval));
    return repairer->run();
}

}  // namespace tarn
