// SPDX-License-Identifier: GPL-2.0
// Directories against std::map, names whose hashes are equal, readdir positions, bad names, and what an entry
// costs.
#include "fs/dir/directory.hpp"

#include "tests/host/tree_fixture.hpp"

namespace tarn::test {

namespace {

constexpr u8 kFile = 8;
constexpr u8 kDir = 4;

struct Named {
    u64 inode;
    u8 type;
    bool operator==(const Named&) const = default;
};
using Model = std::map<std::string, Named>;

class DirectoryTest : public testing::Test {
  protected:
    Volume& volume() { return world_.volume(); }
    Directory directory() { return Directory(volume(), root_); }

    // One change in a transaction of its own.
    template <class Change>
    Error commit(Change change)
    {
        Transaction txn(volume());
        Directory changed = directory();
        const Status done = change(txn, changed);
        return done.is_ok() ? txn.commit().error() : done.error();
    }
    Error insert(const std::string& name, u64 inode, u8 type = kFile)
    {
        return commit(
            [&](auto& txn, auto& d) { return d.insert(txn, bytes_of(name), InodeNumber(inode), type); });
    }
    Error erase(const std::string& name)
    {
        return commit([&](auto& txn, auto& d) { return d.erase(txn, bytes_of(name)); });
    }
    Error replace(const std::string& name, u64 inode, u8 type = kFile)
    {
        return commit(
            [&](auto& txn, auto& d) { return d.replace(txn, bytes_of(name), InodeNumber(inode), type); });
    }
    // The inode a name names, or 0.
    u64 find(const std::string& name)
    {
        auto found = directory().find(nullptr, bytes_of(name));
        EXPECT_TRUE(found.is_ok()) << describe(found.error());
        if (!found.is_ok() || !found.value())
            return 0;
        EXPECT_EQ(text_of(found.value()->name), name);
        return found.value()->inode.value;
    }
    // What readdir would list.
    Model list()
    {
        Model listed;
        u64 cookie = 0;
        for (;;) {
            auto entry = directory().next(cookie);
            EXPECT_TRUE(entry.is_ok()) << describe(entry.error());
            if (!entry.is_ok() || !entry.value())
                return listed;
            const Entry& e = *entry.value();
            EXPECT_GE(e.cookie, max(cookie, DirentKind::kFirstKey));
            EXPECT_TRUE(listed.emplace(text_of(e.name), Named{e.inode.value, e.type}).second);
            cookie = e.cookie + 1;
        }
    }
    // Puts an entry where the hash of another name is, as if their hashes were equal.
    void insert_at(u64 key, const std::string& name, u64 inode)
    {
        std::string payload(reinterpret_cast<const char*>(&inode), sizeof inode);
        payload += static_cast<char>(kFile);
        payload += static_cast<char>(name.size());
        payload += name;
        payload.resize(round_up(payload.size() + 8, 8) - 8);
        Transaction txn(volume());
        ASSERT_TRUE(Tree<DirentKind>(volume(), root_).insert(txn, key, bytes_of(payload)).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    u64 key_of(const std::string& name) { return name_key(volume().layout().hash_seed, bytes_of(name)); }

    TestVolume world_;
    TreeRoot root_ = make_inode(world_.volume(), 6, TARNFS_TREE_DIRECTORY);
};

std::string random_name(std::mt19937_64& random)
{
    // Few enough that names come up again.
    std::string name = "f" + std::to_string(random() % 600);
    if (name.size() % 3 == 0)
        name += std::string(name.back() * 4u % 200, 'x');
    return name;
}

}  // namespace

TEST_F(DirectoryTest, RandomChanges)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Model model;
    for (int i = 0; i < 4000; i++) {
        const std::string name = random_name(random);
        const Named named{1 + random() % 100000, random() % 2 ? kFile : kDir};
        const bool known = model.count(name) != 0;
        const u32 inserts = i < 2000 ? 70 : 20;
        const u64 what = random() % 100;
        if (what < inserts) {
            ASSERT_EQ(insert(name, named.inode, named.type), known ? Error::kExists : Error::kNone);
            model.emplace(name, named);
        } else if (what % 3 == 0) {
            ASSERT_EQ(replace(name, named.inode, named.type), known ? Error::kNone : Error::kNotFound);
            if (known)
                model[name] = named;
        } else {
            ASSERT_EQ(erase(name), known ? Error::kNone : Error::kNotFound);
            model.erase(name);
        }
        const std::string other = random_name(random);
        ASSERT_EQ(find(other), model.count(other) ? model[other].inode : 0);
        if (i % 50 == 0) {
            ASSERT_EQ(list(), model);
        }
    }
    ASSERT_EQ(list(), model);
    world_.abandon();
    world_.open();
    ASSERT_EQ(list(), model);
}

TEST_F(DirectoryTest, SeesItsOwnTransaction)
{
    Transaction txn(volume());
    Directory changed = directory();
    const std::string name = "new";
    ASSERT_TRUE(changed.insert(txn, bytes_of(name), InodeNumber(9), kFile).is_ok());
    EXPECT_TRUE(changed.find(&txn, bytes_of(name)).value().has_value());
    EXPECT_FALSE(changed.find(nullptr, bytes_of(name)).value().has_value());
    EXPECT_FALSE(changed.is_empty(&txn).value());
    EXPECT_TRUE(changed.is_empty().value());
}

TEST_F(DirectoryTest, NamesOfOneHash)
{
    const std::string name = "original";
    const u64 key = key_of(name);
    insert_at(key, "one", 101);
    insert_at(key + 1, "two", 102);
    insert_at(key + 3, "four", 104);
    EXPECT_EQ(find(name), 0u);
    ASSERT_EQ(insert(name, 7), Error::kNone);  // takes the gap, key + 2
    EXPECT_EQ(find(name), 7u);
    EXPECT_EQ(insert(name, 8), Error::kExists);
    EXPECT_EQ(directory().next(key + 2).value()->inode.value, 7u);
    ASSERT_EQ(replace(name, 9), Error::kNone);
    EXPECT_EQ(find(name), 9u);
    ASSERT_EQ(erase(name), Error::kNone);
    EXPECT_EQ(find(name), 0u);
    EXPECT_EQ(erase(name), Error::kNotFound);
    EXPECT_EQ(list().size(), 3u);
}

TEST_F(DirectoryTest, AllPlacesOfAHashTaken)
{
    const std::string name = "original";
    const u64 key = key_of(name);
    const std::string payload =
        std::string(8, '\1') + static_cast<char>(kFile) + "\1x" + std::string(5, '\0');
    Tree<DirentKind> tree(volume(), root_);
    for (u64 at = 0; at < 65536;) {
        Transaction txn(volume());
        for (; at < 65536 && txn.weight() < Transaction::kStepWeight; at++)
            ASSERT_TRUE(tree.insert(txn, key + at, bytes_of(payload)).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
    }
    EXPECT_EQ(find(name), 0u);
    EXPECT_EQ(insert(name, 7), Error::kNoSpace);
}

TEST_F(DirectoryTest, PositionsSurviveOtherChanges)
{
    Model expected;
    for (u64 i = 1; i <= 500; i++)
        ASSERT_EQ(insert("name" + std::to_string(i), i), Error::kNone);
    // Every entry that is read is erased, a new one comes now and then: the others are read once each.
    std::set<std::string> seen;
    u64 cookie = 0;
    for (u64 i = 0;; i++) {
        auto entry = directory().next(cookie);
        ASSERT_TRUE(entry.is_ok());
        if (!entry.value())
            break;
        const std::string name = text_of(entry.value()->name);
        ASSERT_TRUE(seen.insert(name).second);
        cookie = entry.value()->cookie + 1;
        ASSERT_EQ(erase(name), Error::kNone);
        if (i % 10 == 0 && i < 500) {
            ASSERT_EQ(insert("late" + std::to_string(i), 1000 + i), Error::kNone);
        }
    }
    for (u64 i = 1; i <= 500; i++)
        EXPECT_EQ(seen.count("name" + std::to_string(i)), 1u);
}

TEST_F(DirectoryTest, BadNames)
{
    EXPECT_EQ(insert("", 1), Error::kInvalid);
    EXPECT_EQ(insert("a/b", 1), Error::kInvalid);
    EXPECT_EQ(insert(std::string("a\0b", 3), 1), Error::kInvalid);
    EXPECT_EQ(insert(std::string(256, 'a'), 1), Error::kNameTooLong);
    EXPECT_EQ(insert("a", 0), Error::kInvalid);
    EXPECT_EQ(insert("a", 1, 3), Error::kInvalid);
    EXPECT_EQ(directory().find(nullptr, bytes_of(std::string(300, 'a'))).error(), Error::kNameTooLong);
    EXPECT_TRUE(directory().is_empty().value());
    EXPECT_EQ(insert(std::string(255, 'a'), 1), Error::kNone);
    EXPECT_EQ(find(std::string(255, 'a')), 1u);
    EXPECT_EQ(insert("\xff\xfe \n", 2), Error::kNone);
    EXPECT_EQ(find("\xff\xfe \n"), 2u);
}

TEST_F(DirectoryTest, DamagedEntryIsReported)
{
    const std::string name = "victim";
    ASSERT_EQ(insert(name, 5), Error::kNone);
    byte* root = world_.device().bytes() + root_.record.value + offsetof(tarnfs_inode, root);
    const u16 offset = *reinterpret_cast<u16*>(root + NodeView::kRootHeader);
    root[offset + offsetof(tarnfs_dirent_item, name) + 2] = byte{'/'};
    LogCapture log;
    EXPECT_EQ(directory().next(0).error(), Error::kBadDirectory);
    EXPECT_EQ(directory().find(nullptr, bytes_of(name)).error(), Error::kBadDirectory);
    EXPECT_TRUE(log.contains("impossible name")) << log.text();
    EXPECT_TRUE(volume().is_read_only());
}

// Journal bytes of one entry in a large directory, all that does not split a node.
TEST_F(DirectoryTest, EntryLogsLittle)
{
    std::vector<u64> costs;
    for (u64 i = 1; i <= 3000; i++) {
        const u64 before = world_.device().counters().streamed_bytes();
        ASSERT_EQ(insert("some-file-" + std::to_string(i), i), Error::kNone);
        costs.push_back(world_.device().counters().streamed_bytes() - before);
    }
    std::sort(costs.begin(), costs.end());
    RecordProperty("median_bytes", static_cast<int>(costs[costs.size() / 2]));
    EXPECT_LE(costs[costs.size() / 2], 256u);
    EXPECT_LE(costs[costs.size() * 95 / 100], 384u);
}

}  // namespace tarn::test
