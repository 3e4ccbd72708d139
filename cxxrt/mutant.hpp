// SPDX-License-Identifier: GPL-2.0
// Mutants: known bugs, put into the core on purpose by the crash explorer (tests/crash), which has to catch
// each. Everywhere else mutant() is false at compile time and its branch is gone.
#pragma once
#include "cxxrt/types.hpp"

namespace tarn {

// What each breaks, and of which class it is: the table in tests/crash/mutants.cpp.
enum class Mutant : u8 {
    kNone,
    // Names and inodes.
    kRenameLosesSource,    // the old name goes in a transaction of its own, first
    kRenameShowsBoth,      // ... last
    kRenameForgetsParent,  // the moved directory's ".." does not change
    kLinkCountFirst,       // the count grows in a transaction ahead of the entry
    kHalfMadeInode,        // the entry is committed ahead of the inode's bit
    kUnlinkLeaksInode,     // the last unlink makes no orphan
    kNumberReused,         // the number of an orphan is free
    kNamelessLeaks,        // a file without a name is made and is no orphan
    kFlagsBeforeProject,   // flags are committed ahead of the project that is set with them
    kVersionStays,         // contents change under a version that somebody has been told
    kAttributesNotLogged,  // chmod and chown change memory only
    kTimesNotLogged,       // so does fsync
    kTimesInPlace,         // fsync stores times without a record
    // Extended attributes.
    kXattrNotWrittenBack,  // a value in blocks of its own is not durable before the record that names them
    kXattrKeepsOldValue,   // the blocks of a value that is replaced or removed are not freed
    kXattrsLeak,           // freeing an inode does not free its attributes
    kAclBeforeMode,        // an ACL is committed ahead of the mode that goes with it
    kCreateBeforeXattrs,   // a new inode is committed ahead of the attributes that it is made with
    // Contents.
    kSizeFromStaleEnd,     // a write sets the size to where it ended
    kShrinkZeroesFirst,    // truncation zeroes behind the new end before it is committed
    kShrinkForgetsDirty,   // ... forgets what is dirty before it is durable
    kPunchForgetsDirty,    // so do punching and zeroing
    kShrinkLeaksBlocks,    // ... in steps makes no orphan
    kGrowKeepsTail,        // truncation to a larger size does not zero from the old end on
    kWriteKeepsTail,       // nor does a write behind the end
    kAllocateKeepsTail,    // nor does fallocate
    kPunchKeepsHead,       // punching does not zero the part of the first block ...
    kPunchKeepsTail,       // ... of the last
    kFaultSkipsZero,       // a fault gives a fresh block as it was left by others
    kUnwrittenSkipsZero,   // ... an unwritten one
    kFillSkipsHead,        // write(2) does not zero before the first byte in a fresh block ...
    kFillSkipsTail,        // ... behind the last
    kStoreNotWrittenBack,  // fsync does not write back what was stored through mappings
    kNoFenceBeforeRecord,  // fresh blocks are published before they are durable
    kConversionNotFenced,  // ... unwritten ones
    // Space and journals.
    kUnflushedTail,        // of a non-temporal copy that does not end with a line (in the emulated pmem)
    kDoubleFree,           // freed blocks stay mapped, and are freed again
    kFreedBeforeRecord,    // freed data blocks are reused before the record that frees them is durable
    kMetadataFreedAtOnce,  // freed tree nodes are reused before the floor has passed the record that freed
                           // them
    kNoFenceOfRecord,      // a record is applied before it is durable
    kUnlockedCommit,       // an inode is unlocked before the commit
    kBitsAsWords,          // a record says what a bitmap's word becomes, not which bits change
    kNoFloor,              // a ring's space is reused without a floor above it
    kRetireOwnJournal,     // retirement leaves the records of idle journals to their processors
    kTornRecord,           // recovery does not look at checksums
    kRecoverOwnJournal,    // recovery reads as many journals as this machine has processors: one
    kRecoverUnordered,     // recovery applies journal after journal, not by sequence
    kReplayBelowFloor,     // recovery replays what another journal's floor says is over
    // Mappings: caught by tests/interleave.
    kFirstOfMappings,
    kWriteBackBeforeZap = kFirstOfMappings,  // fsync writes lines back, then un-maps
    kInstallUnlocked,                        // an entry is not locked while its page becomes writable
    kTagAfterInstall,                        // DIRTY comes behind the PTE
    kWriteBackStays,                         // install_writable leaves WRITEBACK
    kCleanBeforeFence,                       // DIRTY goes before the fence
    kSyncsTogether,                          // two write-backs of a file at a time
    kSyncTakesLater,                         // a write-back visits what becomes dirty after it began
    kSmallTaggedFirst,                       // it tags entries of 4 KiB before those of 2 MiB
    kPinnedIsClean,                          // it makes a page clean that is pinned
    kPinsSeenLate,                           // ... that was when its lines were written back
    kTrimIgnoresPins,                        // an entry goes while its page is pinned
    kTrimKeepsMappings,                      // ... while it is mapped
    kCleanedGoesMapped,                      // ... a cleaned one that a load has mapped again
    kReclaimTakesDirty,                      // ... one that is dirty, because memory is wanted
    kReclaimIgnoresPins,                     // ... whose page has been pinned since it was looked at
    kReclaimKeepsMappings,                   // ... whose page is mapped
    kPageNotAttached,                        // a page is not told its place in the file
    kPageStaysAttached,                      // ... not that it has none any more
    kShrinkIgnoresPins,                      // truncation frees a block that is pinned
    kPunchIgnoresPins,                       // so does punching
    kPunchKeepsMappings,                     // punching frees a block that is mapped
    kShiftTakesRangeOnly,                    // collapsing leaves the entries of what moves
    kCutUnlocked,                            // truncation and punching do not hold invalidate_lock
    kHugeNotSplit,                           // ... leave a 2 MiB entry whole
    kHugeBesideSmall,                        // a 2 MiB entry is made where there are some of 4 KiB
    kSmallBesideHuge,                        // ... and the other way round
    kSplitForgetsDirty,                      // the parts of a 2 MiB entry are clean
    kSplitForgetsToWrite,                    // ... not visited by the write-back under way
    kFaultKeepsZeroPages,                    // a store into a hole leaves the zero pages of others
    kHugeKeepsZeroPages,                     // ... of 2 MiB
    kWriteKeepsZeroPages,                    // so does write(2)
    kFaultBelievesLook,                      // a fault does not look again at a hole under Inode::lock
    kWriteBelievesLook,                      // nor does write(2)
    kFaultBehindEnd,                         // a fault does not look at the size
    kWidenTakesLocked,                       // neighbours are mapped whoever has them locked
    kUnlockForgetsWaiters,                   // unlocking an entry wakes nobody
    kLentHasNoEntry,                         // a page lent for a private copy is not tracked
    kCount
};

#ifdef TARN_MUTANTS
extern Mutant planted_mutant;
inline bool mutant(Mutant which) { return planted_mutant == which; }
#else
constexpr bool mutant(Mutant) { return false; }
#endif

}  // namespace tarn
