// SPDX-License-Identifier: GPL-2.0
// The one place where failures are folded to errno, and where they get words.
#include "cxxrt/result.hpp"

namespace tarn {

namespace {

struct ErrorEntry {
    int errno_value;
    const char* words;
};

// Linux errno values; the same on both kernels and on the host (x86-64, arm64).
constexpr ErrorEntry entry(Error error)
{
    switch (error) {
    case Error::kNone: return {0, "no error"};
    case Error::kNoMemory: return {-12, "out of memory"};
    case Error::kNoSpace: return {-28, "no free blocks"};
    case Error::kNoInodes: return {-28, "no free inodes"};
    case Error::kReadOnly: return {-30, "read-only"};
    case Error::kShutDown: return {-5, "shut down"};
    case Error::kRequested: return {-5, "on request"};
    case Error::kDeviceFlush: return {-5, "device flush failed"};
    case Error::kDeviceGone: return {-5, "device removed"};
    case Error::kPoison: return {-5, "unreadable (poisoned) memory"};
    case Error::kNotFound: return {-2, "not found"};
    case Error::kExists: return {-17, "exists"};
    case Error::kNotEmpty: return {-39, "directory not empty"};
    case Error::kNotDirectory: return {-20, "not a directory"};
    case Error::kIsDirectory: return {-21, "is a directory"};
    case Error::kNameTooLong: return {-36, "name too long"};
    case Error::kTooManyLinks: return {-31, "too many links"};
    case Error::kOtherProject: return {-18, "of another project"};
    case Error::kTooLarge: return {-27, "file too large"};
    case Error::kInvalid: return {-22, "invalid argument"};
    case Error::kBeyondEnd: return {-6, "behind the end of the file"};
    case Error::kNoXattr: return {-61, "no such attribute"};
    case Error::kNoRoom: return {-34, "buffer too small"};
    case Error::kValueTooLong: return {-7, "value too long"};
    case Error::kUnsupported: return {-95, "not supported"};
    case Error::kFault: return {-14, "bad address"};
    case Error::kBusy: return {-16, "busy"};
    case Error::kInterrupted: return {-4, "interrupted"};
    case Error::kStale: return {-116, "stale inode"};
    case Error::kNotTarnfs: return {-22, "no tarnfs superblock"};
    case Error::kBadSuperblock: return {-117, "damaged superblock"};
    case Error::kBadGeometry: return {-117, "superblock does not fit the device"};
    case Error::kUnknownFeature: return {-95, "unknown incompatible feature"};
    case Error::kBadJournal: return {-117, "damaged journal header"};
    case Error::kBadRecord: return {-117, "impossible journal record"};
    case Error::kBadBitmap: return {-117, "damaged bitmap block"};
    case Error::kBadInode: return {-117, "damaged inode"};
    case Error::kBadNode: return {-117, "damaged tree node"};
    case Error::kBadExtent: return {-117, "impossible extent"};
    case Error::kBadDirectory: return {-117, "damaged directory entry"};
    case Error::kBadXattr: return {-117, "damaged extended attribute"};
    case Error::kBadEntry: return {-5, "unexpected dirty-tracking entry"};
    case Error::kTransactionTooBig: return {-5, "transaction larger than a journal record"};
    }
    return {-5, "unknown error"};
}

}  // namespace

int to_errno(Error error) { return entry(error).errno_value; }

const char* describe(Error error) { return entry(error).words; }

bool is_corruption(Error error)
{
    return error >= Error::kBadSuperblock && error <= Error::kBadXattr && error != Error::kUnknownFeature;
}

}  // namespace tarn
