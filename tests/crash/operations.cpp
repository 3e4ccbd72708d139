// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/operations.hpp"

#include <stdexcept>

#include "tests/crash/explorer.hpp"

namespace tarn::crash {

namespace {

using S = Session;
using Kind = Allocation::Kind;

// Does not fit into an inode: its directory gets a tree node, and gives it back.
const std::string kLongName = "/e/" + std::string(200, 'l');

// As much of a record's header as a name can hold: what tells the file system apart, behind the magic number.
std::string name_like_a_record()
{
    std::string name = "/e/RCRDxxxxyyyyzzzz";
    for (u8 byte : Base::uuid())
        name += static_cast<char>(byte);
    return name;
}

// The namespace they begin with: Session::populate.
const std::vector<Operation> kOperations = {
    {"create /k", [](S& s) { s.create("/k"); }},
    {"create /d/k", [](S& s) { s.create("/d/k"); }},
    {"create /e/l...", [](S& s) { s.create(kLongName); }},
    {"create /e/RCRD...", [](S& s) { s.create(name_like_a_record()); }},
    {"unlink /e/l...", [](S& s) { s.unlink(kLongName); }},
    {"mknod /p", [](S& s) { s.make("/p", 0010600); }},
    {"mkdir /k", [](S& s) { s.mkdir("/k"); }},
    {"mkdir /d/sub/k", [](S& s) { s.mkdir("/d/sub/k"); }},
    {"symlink /k", [](S& s) { s.symlink("/k", 20); }},
    {"symlink /e/k, long", [](S& s) { s.symlink("/e/k", 700); }},
    {"tmpfile /k", [](S& s) { s.create_nameless("/k", 5000); }},
    {"tmpfile, closed", [](S& s) { s.drop_nameless(5000); }},
    {"link /f /k", [](S& s) { s.link("/f", "/k"); }},
    {"link /g /d/k", [](S& s) { s.link("/g", "/d/k"); }},
    {"unlink /f", [](S& s) { s.unlink("/f"); }},
    {"unlink /g", [](S& s) { s.unlink("/g"); }},
    {"unlink /h", [](S& s) { s.unlink("/h"); }},
    {"unlink /s", [](S& s) { s.unlink("/s"); }},
    {"unlink /d/x", [](S& s) { s.unlink("/d/x"); }},
    {"unlink /k", [](S& s) { s.unlink("/k"); }},
    {"rmdir /e", [](S& s) { s.rmdir("/e"); }},
    {"rmdir /d/sub", [](S& s) { s.rmdir("/d/sub"); }},
    {"rename /f /k", [](S& s) { s.rename("/f", "/k"); }},
    {"rename /f /d/k", [](S& s) { s.rename("/f", "/d/k"); }},
    {"rename /f /g", [](S& s) { s.rename("/f", "/g"); }},
    {"rename /g /f", [](S& s) { s.rename("/g", "/f"); }},
    {"rename /d/x /g", [](S& s) { s.rename("/d/x", "/g"); }},
    {"rename /g /d/x", [](S& s) { s.rename("/g", "/d/x"); }},
    {"rename /f /h", [](S& s) { s.rename("/f", "/h"); }},
    {"rename /s /e/s", [](S& s) { s.rename("/s", "/e/s"); }},
    {"rename /e /k", [](S& s) { s.rename("/e", "/k"); }},
    {"rename /e /d/k", [](S& s) { s.rename("/e", "/d/k"); }},
    {"rename /d/sub /e", [](S& s) { s.rename("/d/sub", "/e"); }},
    {"rename /d/sub /k", [](S& s) { s.rename("/d/sub", "/k"); }},
    {"rename /d /e", [](S& s) { s.rename("/d", "/e"); }},
    {"rename /d /e/d", [](S& s) { s.rename("/d", "/e/d"); }},
    {"rename /f /d/k, whiteout", [](S& s) { s.rename_leaving("/f", "/d/k", 0020000); }},
    {"rename /d/x /g, whiteout", [](S& s) { s.rename_leaving("/d/x", "/g", 0020000); }},
    {"exchange /f /d/x", [](S& s) { s.exchange("/f", "/d/x"); }},
    {"exchange /d/sub /g", [](S& s) { s.exchange("/d/sub", "/g"); }},
    {"exchange /d /e", [](S& s) { s.exchange("/d", "/e"); }},
    {"append /f", [](S& s) { s.append("/f", 1000); }},
    {"append /f, far", [](S& s) { s.append("/f", 9000); }},
    {"append /d/x", [](S& s) { s.append("/d/x", 5000); }},
    {"overwrite /f", [](S& s) { s.write("/f", 100, 500); }},
    {"overwrite /f, all", [](S& s) { s.write("/f", 0, 6000); }},
    {"overwrite /g, over its hole", [](S& s) { s.write("/g", 2000, 8000); }},
    {"write /g, hole", [](S& s) { s.write("/g", 4200, 300); }},
    {"write /g, behind the end", [](S& s) { s.write("/g", 20000, 100); }},
    {"write /g, short copies", [](S& s) { s.write("/g", 3000, 9000, 1704); }},
    {"write /k", [](S& s) { s.write("/k", 0, 300); }},
    {"truncate /f 0", [](S& s) { s.truncate("/f", 0); }},
    {"truncate /f 2000", [](S& s) { s.truncate("/f", 2000); }},
    {"truncate /f 5000", [](S& s) { s.truncate("/f", 5000); }},
    {"truncate /f 20000", [](S& s) { s.truncate("/f", 20000); }},
    {"truncate /g 6000", [](S& s) { s.truncate("/g", 6000); }},
    {"truncate /g 9000", [](S& s) { s.truncate("/g", 9000); }},
    {"truncate /d/x 4000", [](S& s) { s.truncate("/d/x", 4000); }},
    {"truncate /k 0", [](S& s) { s.truncate("/k", 0); }},
    {"allocate /f",
     [](S& s) {
         s.fallocate("/f", {Kind::kAllocate, 3000, 10000});
     }},
    {"allocate /g",
     [](S& s) {
         s.fallocate("/g", {Kind::kAllocate, 4096, 16384});
     }},
    {"allocate /g, keep size",
     [](S& s) {
         s.fallocate("/g", {Kind::kAllocate, 0, 30000, true});
     }},
    {"punch /f",
     [](S& s) {
         s.fallocate("/f", {Kind::kPunch, 0, 4096, true});
     }},
    {"punch /g",
     [](S& s) {
         s.fallocate("/g", {Kind::kPunch, 2500, 9900, true});
     }},
    {"punch /g, over the end",
     [](S& s) {
         s.fallocate("/g", {Kind::kPunch, 9001, 20000, true});
     }},
    {"zero /f",
     [](S& s) {
         s.fallocate("/f", {Kind::kZero, 0, 8192});
     }},
    {"zero /g, keep size",
     [](S& s) {
         s.fallocate("/g", {Kind::kZero, 2500, 30000, true});
     }},
    {"zero /g, over the end",
     [](S& s) {
         s.fallocate("/g", {Kind::kZero, 8190, 10000});
     }},
    {"collapse /f",
     [](S& s) {
         s.shift("/f", {Kind::kCollapse, 0, 4096});
     }},
    {"collapse /g",
     [](S& s) {
         s.shift("/g", {Kind::kCollapse, 4096, 4096});
     }},
    {"insert /f",
     [](S& s) {
         s.shift("/f", {Kind::kInsert, 4096, 8192});
     }},
    {"insert /g",
     [](S& s) {
         s.shift("/g", {Kind::kInsert, 0, 4096});
     }},
    {"collapse /k",
     [](S& s) {
         s.shift("/k", {Kind::kCollapse, 8192, 16384});
     }},
    {"store /f", [](S& s) { s.store("/f", 800); }},
    {"store /f, far", [](S& s) { s.store("/f", 4904); }},
    {"store /f, behind the end", [](S& s) { s.store_behind("/f"); }},
    {"store /f, fsync", [](S& s) { s.store("/f", 4800), s.sync("/f"); }},
    {"store /g, hole", [](S& s) { s.store("/g", 4800); }},
    {"store /g, hole, fsync", [](S& s) { s.store("/g", 5600), s.store("/g", 160), s.sync("/g"); }},
    {"fsync /f", [](S& s) { s.sync("/f"); }},
    {"fdatasync /f", [](S& s) { s.sync_data("/f"); }},
    {"fsync /g", [](S& s) { s.sync("/g"); }},
    {"chmod /f", [](S& s) { s.chmod("/f", 0600, 5); }},
    {"chmod /d", [](S& s) { s.chmod("/d", 0711, 6); }},
    {"chattr /f", [](S& s) { s.set_flags("/f", TARNFS_INODE_NODUMP | TARNFS_INODE_NOATIME, 7); }},
    {"version /f", [](S& s) { s.query_version("/f"); }},
    {"setxattr /f", [](S& s) { s.set_xattr("/f", "1.a", 40); }},
    {"setxattr /f, long", [](S& s) { s.set_xattr("/f", "1.a", 5000); }},
    {"setxattr /d/x, shorter", [](S& s) { s.set_xattr("/d/x", "1.long", 600); }},
    {"setxattr /d/x, longer", [](S& s) { s.set_xattr("/d/x", "1.long", 9000); }},
    {"setxattr /d/x, inline", [](S& s) { s.set_xattr("/d/x", "1.long", 300); }},
    {"removexattr /d/x", [](S& s) { s.remove_xattr("/d/x", "1.long"); }},
    {"removexattr /e", [](S& s) { s.remove_xattr("/e", "2.only"); }},
    {"setfacl /f", [](S& s) { s.set_xattr("/f", "4.acl", 44, 0670); }},
    {"create /k, labelled", [](S& s) { s.create_labelled("/k", 30); }},
    {"create /k, with a long label", [](S& s) { s.create_labelled("/k", 5000); }},
    {"hold /f", [](S& s) { s.hold("/f"); }},
    {"unlink /g, held", [](S& s) { s.hold("/g"), s.unlink("/g"); }},
    {"release", [](S& s) { s.release(); }},
    {"freeze", [](S& s) { s.settle(); }},
    {"label", [](S& s) { s.set_label("a label of more than one word"); }},
    {"grow", [](S& s) { s.grow(); }},
    {"remount", [](S& s) { s.remount(); }},
    {"power cut", [](S& s) { s.power_cut(); }},
    {"power cut, read-only at first", [](S& s) { s.power_cut(Access::kReadOnly); }},
};

}  // namespace

// Downwards: on the device no piece goes on where the one before it in the file ends, and each is freed on its own.
const Operation kFragment = {"fragment /k", [](Session& s) {
                                 for (u64 i = 2150; i-- > 0;)
                                     s.write("/k", i * 2 * kBlockSize, 8);
                             }};
const Operation kScatter = {"scatter /k", [](Session& s) {
                                for (u64 i = 1; i < 7; i++)
                                    s.write("/k", i * 2 * kBlockSize, 8);
                            }};
const Operation kScatterMore = {"scatter /k more", [](Session& s) {
                                    for (u64 i = 7; i < 9; i++)
                                        s.write("/k", i * 2 * kBlockSize, 8);
                                }};
const Operation kScatterMoreAndFreeze = {"scatter /k more and freeze", [](Session& s) {
                                             kScatterMore.run(s);
                                             s.settle();
                                         }};
const Operation kHoardChunk = {"take inode numbers",
                               [](Session& s) { s.mounted().hoard(Mount::Hoard::kChunk); }};
const Operation kHoardGroup = {"take more inode numbers",
                               [](Session& s) { s.mounted().hoard(Mount::Hoard::kGroup); }};

const std::vector<Operation>& operations() { return kOperations; }

const Operation& operation(const std::string& name)
{
    for (const Operation& candidate : kOperations)
        if (name == candidate.name)
            return candidate;
    throw std::runtime_error("no such operation: " + name);
}

}  // namespace tarn::crash
