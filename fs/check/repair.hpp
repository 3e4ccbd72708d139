// SPDX-License-Identifier: GPL-2.0
// repair(): makes a file system consistent again. fsck and the tests call it; the kernel module does not
// contain it.
//
// Goes in rounds until nothing is found: a round is a check that puts right what it meets
// (fs/check/checker.hpp), then, when only inodes without a name are left, these get one in /lost+found
// (connect.cpp). What the result is comes from a check of its own in the end.
//
// What is decided where there is a choice:
//   - What other structures say is made to agree with the inodes, the trees and the directory entries, never
//     the other way round: bitmaps, counters, link counts, "..", the type in an entry.
//   - A block that is claimed twice stays with the inode table, else with a good tree node (which carries its
//     own place, owner and generation), else with the file of the lowest number. Every other claim is cut
//     out of its file, which has a hole there.
//   - An extended attribute whose value lies in a block that something else has goes.
//   - Of a tree with a damaged node all good items are kept. What only the damaged node reached is lost;
//   inodes
//     that it named come to /lost+found.
//   - A record with a wrong checksum is what it was when one changed bit explains it. Otherwise, if it makes
//     sense, it is believed; if not, it is cleared.
//   - A file with written blocks behind its end is as long as these go.
//   - A directory with several names keeps the one in the directory that it says is its parent.
//
// Crash argument: every step leaves a file system that another repair puts right.
//   - Records and roots of trees change in transactions of the journal: one inode is as before or as after.
//   - A tree is built anew in blocks that nothing owns and that the bitmaps call free; these are marked in
//   use
//     and durable before the one transaction in which its root changes. What the old tree used is marked free
//     only at the end of the round.
//   - Bitmaps and the copy of the superblock are stored in place, last: they follow from the rest. The
//   journals are
//     empty when a round begins.
// Nothing else on the media is believed than what has been checked in the same round.
#pragma once
#include "fs/check/check.hpp"

namespace tarn {

// What a problem is about, as one decides about its repair.
enum class Fix : u8 {
    kNone,        // cannot be repaired, or not here
    kSuperblock,  // a copy is made from the other one
    kJournal,     // a journal that cannot be found any more: emptied
    kTable,       // the inode table is completed with what is found elsewhere on the device
    kRecord,      // an inode's record: guessed, or cleared
    kField,       // counters and other fields of an inode that follow from the rest or mean little
    kContents,    // parts of a file's block map: cut off
    kEntries,     // directory entries: removed, or moved to where they belong
    kXattrs,      // extended attributes: removed, or moved to where they belong
    kDetached,    // inodes without a name: get one in /lost+found
    kLinks,       // link counts
    kBitmap,      // bitmaps and their counters
    kCount,
};
// A question, to be answered with yes or no.
const char* describe(Fix fix);
// Nothing is lost by it, and there is no choice: it may be done without asking anybody.
bool is_safe(Fix fix);

struct Approval {
    void* context = nullptr;
    bool (*approve)(void* context, Fix fix) = nullptr;
};

struct Repaired {
    u64 fixed = 0;           // problems repaired
    u64 finished = 0;        // orphans freed or truncated
    CheckSummary remaining;  // of the last check, whose problems have been reported
};

// Replays the journals, repairs what is approved, checks. `layout` has been read from `device`, which nobody
// else uses. Every problem is reported when it is met. May sleep. Errors:
// kBadRecord (a journal says what is not possible, or is of a later version), kBadJournal (its repair was not
// approved), kReadOnly, kNoMemory, kDeviceFlush.
Result<Repaired> repair(const tarn_device& device, const Layout& layout, const CheckReporter& reporter,
                        const Approval& approval);

}  // namespace tarn
