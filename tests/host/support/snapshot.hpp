// SPDX-License-Identifier: GPL-2.0
// Snapshot: everything that can be reached in a file system, by path; and repairing a device.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "fs/check/repair.hpp"
#include "tests/host/support/populated.hpp"

namespace tarn::test {

// One inode as a user sees it. Owner, mode and times are left out: they are what nobody can restore.
struct Seen {
    u64 number = 0;
    u16 type = 0;
    u64 size = 0;
    std::string contents;  // of files: what is written, block by block; of links: the target
    bool operator==(const Seen&) const = default;
};
using Snapshot = std::map<std::string, Seen>;

// Mounts a copy of the image, read-only.
Snapshot snapshot_of(const std::vector<std::byte>& image);
// Gives every written block of every file contents of its own.
void stamp_files(TestDevice& device);
// The populated image with such contents. Made once.
const std::vector<std::byte>& stamped_image();

// Paths of `before` that are not in `after`, or are something else there.
std::vector<std::string> lost(const Snapshot& before, const Snapshot& after);

struct RepairedDevice {
    bool possible = false;  // repair() went on to the end
    Error error = Error::kNone;
    Repaired result;
    Checked checked;  // a check of its own behind it
    std::string said;

    bool clean() const { return possible && checked.summary.problems == 0; }
};
// Repairs all that can be repaired. With `only_safe`, what fsck -p repairs.
RepairedDevice repair_device(TestDevice& device, bool only_safe = false);

}  // namespace tarn::test
