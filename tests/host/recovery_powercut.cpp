// SPDX-License-Identifier: GPL-2.0
// Power cuts at every fence of a long series of operations: what is left of the device is mounted, checked,
// and compared with what was there before and after the operation that was cut. Operations that had returned
// are never undone.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <memory>

#include "fs/file/block_map.hpp"
#include "tests/host/support/persist_model.hpp"
#include "tests/host/support/populated.hpp"
#include "tests/host/support/random.hpp"

namespace tarn::test {

namespace {

constexpr u64 kBlocks = 2200;  // little more than the least for two journals: images are copied often

// All that can be reached, as text: path, inode number, mode, links, size; of a file also how many blocks are
// mapped, and whether they hold the zeroes they were filled with.
class Listing {
  public:
    static std::string of(FileSystem& fs)
    {
        Listing listing(fs);
        listing.visit("/", TARNFS_INO_ROOT);
        return listing.text_;
    }

  private:
    explicit Listing(FileSystem& fs) : fs_(fs), names_(fs) {}

    void visit(const std::string& path, u64 number)
    {
        auto found = fs_.inodes().find(InodeNumber(number));
        if (!found)
            throw std::runtime_error(path + ": " + describe(found.error()));
        Inode inode(fs_, InodeNumber(number), found.value().generation, found.value().record);
        const tarnfs_inode& record = inode.read();
        text_ += path + " #" + std::to_string(number) + " mode " + std::to_string(record.mode) + " links " +
                 std::to_string(record.links) + " size " + std::to_string(record.size) + "\n";
        if (inode.is_regular())
            contents(inode);
        if (!inode.is_directory())
            return;
        std::map<std::string, u64> children;
        u64 buffer[1024];
        for (u64 cookie = 0;;) {
            auto used =
                names_.read(inode, cookie, MutableBytes(reinterpret_cast<byte*>(buffer), sizeof buffer));
            if (!used)
                throw std::runtime_error(path + ": " + describe(used.error()));
            if (used.value() == 0)
                break;
            for (u32 offset = 0; offset < used.value();) {
                const auto& entry =
                    *reinterpret_cast<tarn_dir_entry*>(reinterpret_cast<byte*>(buffer) + offset);
                children[std::string(entry.name, entry.length)] = entry.number;
                cookie = entry.cookie + 1;
                offset += static_cast<u32>(round_up(offsetof(tarn_dir_entry, name) + entry.length, 8));
            }
        }
        for (const auto& [name, child] : children)
            visit(path + name + "/", child);
    }

    void contents(const Inode& inode)
    {
        const BlockMap map(fs_.volume(), inode.tree());
        u64 blocks = 0, stale = 0;
        for (u64 at = 0; at < kMaxFileBlocks;) {
            auto mapping = map.lookup(nullptr, FileBlock(at), kMaxFileBlocks - at);
            if (!mapping)
                throw std::runtime_error(std::string("block map: ") + describe(mapping.error()));
            const Mapping& run = mapping.value();
            at += run.count;
            for (u64 i = 0; !run.is_hole() && i < run.count; i++, blocks++)
                stale += !is_zero(run.device + i);
        }
        text_ += "  " + std::to_string(blocks) + " blocks" + (stale ? ", STALE" : "") + "\n";
    }
    bool is_zero(DeviceBlock block)
    {
        static const std::vector<byte> zeroes(kBlockSize);
        return std::memcmp(fs_.media().at(block), zeroes.data(), kBlockSize) == 0;
    }

    FileSystem& fs_;
    Namespace names_;
    std::string text_;
};

using Operation = std::function<void(TestFileSystem&)>;

// Runs operations on a file system and cuts the power at their fences, in copies of the device.
class PowerCuts {
  public:
    explicit PowerCuts(u64 seed) : fs_(image_with_junk()), model_(fs_.device(), at_fence, this), random_(seed)
    {
        host::pretend_cpu(0);
    }
    ~PowerCuts() { host::pretend_cpu(-1); }

    // Runs an operation without cutting the power.
    void skip(const Operation& operation) { operation(fs_); }
    // Runs one that is atomic, and cuts the power at each of its fences.
    // With `from_fence` only from that one on (1 is the first).
    void run(const std::string& what, const Operation& operation, u64 from_fence = 1)
    {
        from_fence_ = from_fence;
        fence_ = 0;
        before_ = Listing::of(fs_.fs());
        images_.clear();
        collecting_ = true;
        operation(fs_);
        collecting_ = false;
        if (fence_ < from_fence)
            return;
        const std::string after = Listing::of(fs_.fs());
        images_.push_back(model_.least());  // it has returned: durable
        for (usize i = 0; i < images_.size(); i++) {
            SCOPED_TRACE(what + ", image " + std::to_string(i) + " of " + std::to_string(images_.size()));
            const bool finished = i + 1 == images_.size();
            try {
                judge(images_[i], finished ? after : before_, after);
            } catch (const std::exception& error) {
                ADD_FAILURE() << error.what();
            }
        }
    }

    // Also cut recovery itself, in every `nth` image; 0: never.
    void cut_recovery(u64 nth) { every_ = nth; }
    u64 cuts() const { return cuts_; }
    void cut_first_mount()
    {
        const std::string empty = Listing::of(fs_.fs());
        cut_recovery_of(image_with_junk(), empty, empty);
    }

  private:
    // An empty file system whose free blocks hold what others left there.
    static std::vector<std::byte> image_with_junk()
    {
        TestDevice device(kBlocks);
        std::memset(device.bytes(), 0xee, kBlocks * kBlockSize);
        format_device(device);
        return device.image();
    }

    static void at_fence(void* context)
    {
        auto& self = *static_cast<PowerCuts*>(context);
        if (!self.collecting_ || ++self.fence_ < self.from_fence_)
            return;
        self.images_.push_back(self.model_.least());
        self.images_.push_back(self.model_.most());
        // Fences behind the first are rarer and do more: allocation, retirement.
        for (int i = 0; i < (self.fence_ > 1 ? 8 : 2); i++)
            self.images_.push_back(self.model_.some(self.random_));
    }

    void judge(const std::vector<std::byte>& image, const std::string& before, const std::string& after)
    {
        cuts_++;
        if (every_ && cuts_ % every_ == 0)
            cut_recovery_of(image, before, after);
        TestFileSystem survivor(image);
        compare(survivor, before, after);
    }

    void compare(TestFileSystem& survivor, const std::string& before, const std::string& after)
    {
        const std::string found = Listing::of(survivor.fs());
        EXPECT_EQ(found.find("STALE"), std::string::npos) << found;
        EXPECT_TRUE(found == before || found == after) << "found:\n"
                                                       << found << "before:\n"
                                                       << before << "after:\n"
                                                       << after;
        survivor.unmount();
        const Checked checked = check_as_is(survivor.device());
        EXPECT_EQ(checked.text(), "");
        EXPECT_EQ(checked.summary.orphans, 0u);
    }

    // Mounts the image, cuts that at every fence, and mounts what is left.
    void cut_recovery_of(const std::vector<std::byte>& image, const std::string& before,
                         const std::string& after)
    {
        struct Collected {
            PersistModel* model = nullptr;
            std::mt19937_64* random = nullptr;
            std::vector<std::vector<std::byte>> images;
        } collected;
        TestDevice device(image);
        PersistModel model(
            device,
            [](void* context) {
                auto& c = *static_cast<Collected*>(context);
                c.images.push_back(c.model->least());
                for (int i = 0; i < 3; i++)
                    c.images.push_back(c.model->some(*c.random));
            },
            &collected);
        collected.model = &model;
        collected.random = &random_;
        auto mounted = FileSystem::open(device.device(), Access::kReadWrite);
        if (!mounted)
            throw std::runtime_error(std::string("mount: ") + describe(mounted.error()));
        for (const auto& left : collected.images) {
            SCOPED_TRACE("recovery cut");
            TestFileSystem survivor(left);
            compare(survivor, before, after);
        }
    }

    TestFileSystem fs_;
    PersistModel model_;
    std::mt19937_64 random_;
    std::vector<std::vector<std::byte>> images_;
    std::string before_;
    bool collecting_ = false;
    u64 fence_ = 0;
    u64 from_fence_ = 1;
    u64 cuts_ = 0;
    u64 every_ = 0;
};

}  // namespace

TEST(RecoveryPowerCut, EachKindOfOperation)
{
    LogCapture log;
    PowerCuts cuts(1);
    cuts.cut_recovery(5);
    auto at = [](TestFileSystem& fs, const char* name) { return fs.find(kRoot, name); };
    cuts.run("mkdir", [](TestFileSystem& fs) { fs.mkdir(kRoot, "dir"); });
    cuts.run("create", [](TestFileSystem& fs) { fs.file(kRoot, "file"); });
    cuts.run("fill", [&](TestFileSystem& fs) { fs.fill(at(fs, "file"), 0, 7); });
    cuts.run("fill behind a hole", [&](TestFileSystem& fs) { fs.fill(at(fs, "file"), 100, 3); });
    cuts.run("link", [&](TestFileSystem& fs) { fs.link(at(fs, "dir"), "second", at(fs, "file")); });
    cuts.run("short symlink",
             [](TestFileSystem& fs) { fs.create(kRoot, "s", kTypeSymlink | 0777, "target"); });
    cuts.run("long symlink",
             [](TestFileSystem& fs) { fs.create(kRoot, "l", kTypeSymlink | 0777, std::string(500, 'x')); });
    cuts.run("rename", [](TestFileSystem& fs) { fs.rename(kRoot, "file", kRoot, "renamed"); });
    cuts.run("rename into a directory",
             [&](TestFileSystem& fs) { fs.rename(kRoot, "s", at(fs, "dir"), "s"); });
    cuts.run("mkdir for a target", [](TestFileSystem& fs) { fs.mkdir(kRoot, "empty"); });
    cuts.run("mkdir below", [&](TestFileSystem& fs) { fs.mkdir(at(fs, "dir"), "sub"); });
    cuts.run("rename a directory over one across directories",
             [&](TestFileSystem& fs) { fs.rename(at(fs, "dir"), "sub", kRoot, "empty"); });
    cuts.run("rename over a file",
             [&](TestFileSystem& fs) { fs.rename(kRoot, "l", at(fs, "dir"), "second"); });
    cuts.run("unlink the last name", [](TestFileSystem& fs) { fs.unlink(kRoot, "renamed"); });
    cuts.run("rmdir", [](TestFileSystem& fs) { fs.unlink(kRoot, "empty"); });
    EXPECT_GE(cuts.cuts(), 60u);
}

TEST(RecoveryPowerCut, FreeingAFileInSteps)
{
    LogCapture log;
    PowerCuts cuts(2);
    InodeNumber file;
    cuts.skip([&](TestFileSystem& fs) {
        file = fs.file(kRoot, "fragmented");
        for (u64 i = 0; i < 300; i++)
            fs.fill(file, 2 * i, 1);
    });
    cuts.run("unlink", [](TestFileSystem& fs) { fs.unlink(kRoot, "fragmented"); });
    cuts.run("free", [&](TestFileSystem& fs) { fs.free(file); });
    EXPECT_GT(cuts.cuts(), 10u);
}

// With both journals, retirement in between, and chunks of inodes that come and go.
TEST(RecoveryPowerCut, ALongRandomSeries)
{
    LogCapture log;
    PowerCuts cuts(3);
    cuts.cut_recovery(97);
    std::mt19937_64 random(4);
    std::vector<std::string> names;
    for (int step = 0; step < 200; step++) {
        const std::string name = "n" + std::to_string(step) + std::string(random() % 120, 'y');
        const u64 pick = names.empty() ? 0 : random() % names.size();
        std::vector<Operation> operations;
        if (names.size() < 20 || random() % 3 == 0) {
            names.push_back(name);
            operations.push_back([=](TestFileSystem& fs) { fs.file(kRoot, name); });
            operations.push_back([=](TestFileSystem& fs) { fs.fill(fs.find(kRoot, name), step % 5, 1); });
        } else if (random() % 2) {
            operations.push_back(
                [=, old = names[pick]](TestFileSystem& fs) { fs.rename(kRoot, old, kRoot, name); });
            names[pick] = name;
        } else {
            auto gone = std::make_shared<InodeNumber>();
            operations.push_back([=, old = names[pick]](TestFileSystem& fs) {
                *gone = fs.find(kRoot, old);
                fs.unlink(kRoot, old);
            });
            operations.push_back([=](TestFileSystem& fs) { fs.free(*gone); });
            names.erase(names.begin() + static_cast<long>(pick));
        }
        // All of them run; the power is cut in every tenth.
        for (const Operation& operation : operations)
            if (step % 10 == 9)
                cuts.run("step " + std::to_string(step), operation);
            else
                cuts.skip(operation);
        host::pretend_cpu(step / 3 % 2);
        if (step % 10 == 4)
            cuts.run("retire", [](TestFileSystem& fs) { ASSERT_TRUE(fs.fs().volume().close()); });
    }
    EXPECT_GT(cuts.cuts(), 150u);
}

// Several laps of both rings: old records lie behind the newest, and space is reused only when that is safe.
TEST(RecoveryPowerCut, RoundTheRings)
{
    LogCapture log;
    PowerCuts cuts(5);
    for (int i = 0; i < 8; i++)
        cuts.skip([=](TestFileSystem& fs) { fs.file(kRoot, "f" + std::to_string(i) + "-0"); });
    for (int round = 1; round <= 800; round++) {
        host::pretend_cpu(round / 7 % 2);
        for (int i = 0; i < 8; i++) {
            const std::string name = "f" + std::to_string(i) + "-";
            const Operation rename = [&](TestFileSystem& fs) {
                fs.rename(kRoot, name + std::to_string(round - 1), kRoot, name + std::to_string(round));
            };
            // One fence is the record's. More of them: a journal was full and has been retired.
            cuts.run("rename in round " + std::to_string(round), rename, round % 100 ? 2 : 1);
        }
    }
    EXPECT_GE(cuts.cuts(), 100u);
}

// Between mkfs and the first operation: the journals' first slots are replaced one at a time.
TEST(RecoveryPowerCut, TheFirstMount)
{
    LogCapture log;
    const u64 first = test_seed();
    SCOPED_TRACE(first);
    for (u64 seed = first; seed < first + 20; seed++)
        PowerCuts(seed).cut_first_mount();
}

}  // namespace tarn::test
