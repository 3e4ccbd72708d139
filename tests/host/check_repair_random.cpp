// SPDX-License-Identifier: GPL-2.0
// repair() on images damaged at random: it ends (the sanitizers watch), with a clean file system or with the
// statement that it cannot be repaired; a second repair finds nothing. And power cuts in the middle of a
// repair: another one makes it clean, and loses nothing that the first would have kept.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "tests/host/support/damage.hpp"
#include "tests/host/support/persist_model.hpp"
#include "tests/host/support/snapshot.hpp"
#include "tests/host/support/vandal.hpp"

namespace tarn::test {

namespace {

constexpr u64 kSeed = 20260131;

struct Tally {
    int clean = 0;
    int impossible = 0;
    int dirty = 0;
    int harmless = 0;  // nothing was found

    std::string text() const
    {
        return std::to_string(clean) + " clean, " + std::to_string(harmless) + " without a problem, " +
               std::to_string(impossible) + " that cannot be repaired, " + std::to_string(dirty) +
               " not clean";
    }
};

void repair_twice(TestDevice& device, Tally& tally)
{
    const RepairedDevice first = repair_device(device);
    if (!first.possible) {
        tally.impossible++;
        return;
    }
    if (!first.clean()) {
        tally.dirty++;
        ADD_FAILURE() << first.said << "left:\n" << first.checked.text();
        return;
    }
    (first.result.fixed ? tally.clean : tally.harmless)++;
    snapshot_of(device.image());  // mounts, and everything can be looked at
    const RepairedDevice second = repair_device(device);
    EXPECT_TRUE(second.clean() && second.result.fixed == 0) << second.said;
}

int rounds(int usual)
{
    const char* factor = std::getenv("TARN_SOAK");
    return usual * (factor ? std::max(1, std::atoi(factor)) : 1);
}

// One superblock survives: without that nothing can be repaired.
std::vector<u64> without(std::initializer_list<u64> superblocks, std::vector<u64> blocks)
{
    for (u64 superblock : superblocks)
        std::erase(blocks, superblock);
    return blocks;
}

constexpr u64 kReplica = kTestBlocks - 1;

}  // namespace

TEST(CheckRepairRandom, ForgedNumbersInMetadata)
{
    TestDevice device(stamped_image());
    const auto blocks = without({0, kReplica}, metadata_blocks(device));  // forged ones are no damage
    LogCapture log;
    Tally tally;
    const int all = rounds(150);
    for (int round = 0; round < all; round++) {
        SCOPED_TRACE(round);
        device.restore(stamped_image());
        Vandal vandal(device, blocks, kSeed + static_cast<u64>(round));
        for (int strikes = 1 + round % 7; strikes; strikes--)
            vandal.strike();
        repair_twice(device, tally);
    }
    std::printf("forged numbers: %s\n", tally.text().c_str());
    EXPECT_EQ(tally.dirty, 0);
    EXPECT_EQ(tally.impossible, 0);
}

TEST(CheckRepairRandom, BitFlipsEverywhere)
{
    TestDevice device(stamped_image());
    const auto blocks = without({kReplica}, metadata_blocks(device));
    LogCapture log;
    Tally tally;
    const int all = rounds(100);
    for (int round = 0; round < all; round++) {
        SCOPED_TRACE(round);
        device.restore(stamped_image());
        std::mt19937_64 random(kSeed + static_cast<u64>(round));
        for (int flips = 1 << round % 9; flips; flips--) {
            const u64 block = blocks[random() % blocks.size()];
            device.block(block)[random() % kBlockSize] ^= static_cast<std::byte>(1u << random() % 8);
        }
        repair_twice(device, tally);
    }
    std::printf("bit flips: %s\n", tally.text().c_str());
    EXPECT_EQ(tally.dirty, 0);
    EXPECT_EQ(tally.impossible, 0);
}

TEST(CheckRepairRandom, BlocksOverwritten)
{
    TestDevice device(stamped_image());
    const auto blocks = without({kReplica}, metadata_blocks(device));
    LogCapture log;
    Tally tally;
    const int all = rounds(100);
    for (int round = 0; round < all; round++) {
        SCOPED_TRACE(round);
        device.restore(stamped_image());
        std::mt19937_64 random(kSeed + static_cast<u64>(round));
        for (int strikes = 1 + round % 5; strikes; strikes--) {
            const u64 block = blocks[random() % blocks.size()];
            switch (random() % 3) {
                case 0: std::memset(device.block(block), 0, kBlockSize); break;
                case 1: std::memset(device.block(block), 0xa5, kBlockSize); break;
                default:  // a stray write of another block of metadata
                    std::memcpy(device.block(block), device.block(blocks[random() % blocks.size()]),
                                kBlockSize);
            }
        }
        repair_twice(device, tally);
    }
    std::printf("blocks overwritten: %s\n", tally.text().c_str());
    EXPECT_EQ(tally.dirty, 0);
    EXPECT_EQ(tally.impossible, 0);
}

// ---- power cuts -------------------------------------------------------------------------------------------

namespace {

class Cutter {
  public:
    Cutter() { host::pretend_cpu(0); }
    ~Cutter() { host::pretend_cpu(-1); }

    // What a power cut would leave at some of the fences of a repair.
    std::vector<std::vector<std::byte>> repair(TestDevice& device, u64 every)
    {
        every_ = every;
        PersistModel model(
            device, [](void* self) { static_cast<Cutter*>(self)->take(); }, this);
        model_ = &model;
        EXPECT_TRUE(repair_device(device).clean());
        return std::move(images_);
    }

  private:
    void take()
    {
        if (fences_++ % every_)
            return;
        images_.push_back(fences_ / every_ % 2 ? model_->least() : model_->some(random_));
    }

    PersistModel* model_ = nullptr;
    std::mt19937_64 random_{kSeed};
    u64 fences_ = 0;
    u64 every_ = 1;
    std::vector<std::vector<std::byte>> images_;
};

}  // namespace

TEST(CheckRepairRandom, APowerCutInTheMiddle)
{
    LogCapture log;
    u64 cuts = 0;
    for (const char* name :
         {"NodeOwner", "ExtentShared", "TableTree", "RootGone", "EntryToNothing", "DirectoryRing",
          "InodeMode", "BlockBitmapMagic", "InodeBitmapKind", "SuperblockChecksum"}) {
        SCOPED_TRACE(name);
        const auto damage = std::find_if(damages().begin(), damages().end(),
                                         [&](const Damage& d) { return std::string(d.name) == name; });
        ASSERT_NE(damage, damages().end());
        TestFileSystem fs(stamped_image(), Access::kReadOnly);
        damage->make(fs);
        TestDevice device(fs.device().image());
        const auto images = Cutter().repair(device, 5);
        const Snapshot whole = snapshot_of(device.image());
        for (const auto& image : images) {
            cuts++;
            TestDevice cut(image);
            const RepairedDevice again = repair_device(cut);
            ASSERT_TRUE(again.clean()) << again.said << "left:\n" << again.checked.text();
            const auto missing = lost(whole, snapshot_of(cut.image()));
            ASSERT_TRUE(missing.empty()) << missing.front() << "\n" << again.said;
        }
    }
    std::printf("%llu power cuts\n", cuts);
}

}  // namespace tarn::test
