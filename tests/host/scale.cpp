// SPDX-License-Identifier: GPL-2.0
// A directory of a million entries and a file of a million extents: built, remounted in the middle, looked
// at, and taken apart in another order. In the end each tree is one empty node again, and every block has
// been given back.
//
// In `make test` it is 50,000; once in each `make soak` the million.
#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "tests/host/file_fixture.hpp"
#include "tests/host/namespace_fixture.hpp"
#include "tests/host/support/random.hpp"

namespace tarn::test {

namespace {

constexpr u64 kMillion = 1'000'000;
constexpr u64 kFew = 50'000;

// `soak` says whether the long form is still to come; it comes once.
u64 how_many(bool& soak) { return std::exchange(soak, false) ? kMillion : kFew; }
bool is_soak() { return std::getenv("TARN_SOAK") != nullptr; }

std::vector<u64> shuffled(u64 count, std::mt19937_64& random)
{
    std::vector<u64> order(count);
    std::iota(order.begin(), order.end(), u64{0});
    std::shuffle(order.begin(), order.end(), random);
    return order;
}

// Names of one file in one directory, opened anew with each mount.
class Names {
  public:
    explicit Names(u64 blocks) : world_(blocks)
    {
        file_number_ = world_.files.file(kRoot, "file");
        dir_number_ = world_.files.mkdir(kRoot, "directory");
        open();
    }

    void remount()
    {
        close();
        world_.files.mount();
        open();
    }
    // Unmounted, the file system has to check.
    void check()
    {
        close();
        EXPECT_EQ(check_as_is(world_.files.device()).text(), "");
        world_.files.mount();
        open();
    }
    Error add(u64 number) { return world_.names().link(*dir_, bytes(number), *file_, world_.tick()).error(); }
    Error remove(u64 number)
    {
        return world_.names().unlink(*dir_, bytes(number), *file_, world_.tick()).error();
    }
    bool has(u64 number)
    {
        auto found = world_.names().find(*dir_, bytes(number));
        EXPECT_TRUE(found.is_ok() || found.error() == Error::kNotFound);
        return found.is_ok() && found.value() == file_number_;
    }
    u64 listed() { return world_.list(dir_number_).size(); }
    tarnfs_inode record() { return dir_->read(); }
    u64 free_blocks() { return world_.files.fs().volume().space().free_blocks(); }

  private:
    Bytes bytes(u64 number)
    {
        text_ = "entry-" + std::to_string(number);
        return name_bytes(text_);
    }
    void close()
    {
        dir_.reset();
        file_.reset();
        world_.files.unmount();
    }
    void open()
    {
        dir_ = world_.open(dir_number_);
        file_ = world_.open(file_number_);
    }

    NamespaceFixture world_;
    InodeNumber file_number_, dir_number_;
    std::unique_ptr<Inode> dir_, file_;
    std::string text_;
};

}  // namespace

TEST(Scale, ADirectoryOfAMillionEntries)
{
    static bool soak = is_soak();
    const u64 count = how_many(soak);
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Names names(65536);  // 256 MiB
    const u64 free = names.free_blocks();
    const std::vector<u64> in = shuffled(count, random), out = shuffled(count, random);

    for (u64 i = 0; i < count; i++) {
        ASSERT_EQ(names.add(in[i]), Error::kNone) << i;
        if (i == count / 2)
            names.remount();
    }
    EXPECT_EQ(names.record().size, count);
    EXPECT_EQ(free - names.free_blocks(), names.record().blocks);
    EXPECT_EQ(names.listed(), count);
    EXPECT_EQ(names.add(in[0]), Error::kExists);
    names.check();

    for (u64 i = 0; i < count; i++) {
        ASSERT_EQ(names.remove(out[i]), Error::kNone) << i;
        if (i == count / 2) {
            names.check();
            for (u64 j = 0; j < count; j += 7)
                ASSERT_EQ(names.has(out[j]), j > i) << j;
            EXPECT_EQ(names.listed(), count - i - 1);
        }
    }
    const tarnfs_inode empty = names.record();
    EXPECT_EQ(empty.size, 0u);
    EXPECT_EQ(empty.blocks, 0u);
    EXPECT_EQ(names.free_blocks(), free);
    names.check();
    EXPECT_EQ(names.free_blocks(), free);
}

namespace {

class ScaleFile : public FileTest {
  protected:
    ScaleFile() : FileTest(kMillion + 65536) {}

    // Every second block of the file: no two extents can be one. Nothing is stored to the blocks, so they
    // cost no memory.
    static u64 offset(u64 number) { return number * 2 * kBlockSize; }
    void build(u64 count, std::mt19937_64& random)
    {
        const std::vector<u64> order = shuffled(count, random);
        for (u64 i = 0; i < count; i++) {
            ASSERT_EQ(file->allocate_keeping_size(offset(order[i]), kBlockSize), 0) << i;
            if (i == count / 2)
                remount();
        }
        remount();
        EXPECT_EQ(check_as_is(device).text(), "");
    }
};

}  // namespace

TEST_F(ScaleFile, AMillionExtentsPunchedOneByOne)
{
    static bool soak = is_soak();
    const u64 count = how_many(soak);
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const u64 free = fs->free_blocks();
    build(count, random);
    EXPECT_GT(file->blocks(), count + count / 300);  // the nodes
    EXPECT_EQ(free - fs->free_blocks(), file->blocks());
    const std::vector<u64> order = shuffled(count, random);
    for (u64 i = 0; i < count; i++) {
        ASSERT_EQ(file->punch(offset(order[i]), kBlockSize), 0) << i;
        if (i == count / 2) {
            remount();
            EXPECT_EQ(free - fs->free_blocks(), file->blocks());
            EXPECT_EQ(check_as_is(device).text(), "");
        }
    }
    EXPECT_EQ(file->blocks(), 0u);
    EXPECT_EQ(fs->free_blocks(), free);
    remount();
    EXPECT_EQ(fs->free_blocks(), free);
}

TEST_F(ScaleFile, AMillionExtentsTruncated)
{
    static bool soak = is_soak();
    const u64 count = how_many(soak);
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const u64 free = fs->free_blocks();
    build(count, random);
    ASSERT_EQ(file->truncate(offset(count)), 0);
    ASSERT_EQ(file->truncate(offset(count / 3)), 0);
    EXPECT_EQ(free - fs->free_blocks(), file->blocks());
    remount();
    EXPECT_EQ(check_as_is(device).text(), "");
    ASSERT_EQ(file->truncate(0), 0);
    EXPECT_EQ(file->blocks(), 0u);
    EXPECT_EQ(fs->free_blocks(), free);
}

}  // namespace tarn::test
