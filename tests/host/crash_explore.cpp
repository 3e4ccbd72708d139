// SPDX-License-Identifier: GPL-2.0
// Power cuts in the middle of random writes, truncations, fallocates, stores through mappings and syncs of a few files.
// What is left is mounted and checked, and each byte of each file is compared with what it may be:
//  - outside of the operation that was cut: what was last written, or stored through a mapping and synced; or a value that
//    a store since the last sync had replaced;
//  - in it: the old or the new byte. But a size is believed only when all below it is: where the file has grown, every
//    byte of the operation below the new size is the new one.
// Free blocks hold junk at first, so that a byte of nobody's shows. (Names: recovery_powercut.cpp.)
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>

#include "tests/host/support/fake_mm.hpp"
#include "tests/host/support/persist_model.hpp"
#include "tests/host/support/populated.hpp"
#include "tests/host/support/random.hpp"

namespace tarn::test {

namespace {

constexpr u64 kFiles = 3;
constexpr u64 kLargest = 300000;  // bytes: more than one step of a write

// What a file's contents are, and what else some bytes may be after a power cut.
struct Contents {
    std::string now;
    std::map<u64, std::set<char>> unsynced;

    void forget(u64 first, u64 end) { unsynced.erase(unsynced.lower_bound(first), unsynced.lower_bound(end)); }
    bool may_be(u64 at, char byte) const
    {
        if (at < now.size() && now[at] == byte)
            return true;
        auto found = unsynced.find(at);
        return found != unsynced.end() && found->second.count(byte) != 0;
    }
};

// An operation that changes the bytes [first, end) of a file, or its size.
struct Change {
    std::string after;
    u64 first = 0;
    u64 end = 0;
};

// What is wrong with `found`, which was `before` when `change` began; empty: nothing.
std::string judge(const std::string& found, const Contents& before, const std::optional<Change>& change)
{
    const u64 size = found.size();
    const bool has_grown = size > before.now.size();
    const std::string& after = change ? change->after : before.now;
    if (size != before.now.size() && size != after.size() && !(has_grown && size < after.size()))
        return "size " + std::to_string(size);
    for (u64 at = 0; at < size; at++) {
        if (at < after.size() && found[at] == after[at])
            continue;
        const bool has_to_be_new = has_grown && change && at >= change->first && at < change->end;
        if (has_to_be_new || !before.may_be(at, found[at]))
            return "byte " + std::to_string(at) + " of " + std::to_string(size);
    }
    return {};
}

std::string name_of(u64 file) { return "file" + std::to_string(file); }

class Explorer {
  public:
    explicit Explorer(u64 seed)
        : random_(seed), device_(kMinBlocks), layout_(prepare(device_)), mm_(device_),
          model_(device_, at_fence, this), fs_(device_, FakeFs::How::kMount)
    {
        for (u64 i = 0; i < kFiles; i++)
            files_[i] = fs_.create(mm_, name_of(i));
        images_.clear();
    }
    ~Explorer() { host::pretend_cpu(-1); }

    void step()
    {
        host::pretend_cpu(static_cast<int>(random_() % 3));
        const u64 file = random_() % kFiles;
        Contents after = contents_[file];
        switch (random_() % 11) {
        case 0:
        case 1:
        case 2: write(file, after); break;
        case 3: resize(file, after); break;
        case 4:
        case 5: store(file, after); break;
        case 6: sync(file, after); break;
        case 7:
        case 8:
        case 9: fallocate(file, after); break;
        default: evict(file, after); break;
        }
        judge_images(file);
        contents_[file] = std::move(after);
        change_.reset();
        images_.push_back(model_.least());  // it has returned
        judge_images(file);
        EXPECT_TRUE(files_[file]->contents() == contents_[file].now) << what_;
    }
    u64 cuts() const { return cuts_; }

  private:
    // Formatted, over junk.
    static Layout prepare(TestDevice& device)
    {
        host::pretend_cpu(0);  // a fence completes what its processor has sent: the thread stays on one
        std::fill(device.bytes(), device.bytes() + kMinBlocks * kBlockSize, std::byte{0xee});
        FormatOptions options = test_format_options();
        options.journals = 1;
        return format_device(device, options);
    }
    static void at_fence(void* context)
    {
        auto& self = *static_cast<Explorer*>(context);
        self.images_.push_back(self.model_.some(self.random_));
        self.images_.push_back(self.journal_first());
    }
    // Nothing survives of what is not fenced but what is in the journal: a record must never say what is not yet so.
    std::vector<std::byte> journal_first() const
    {
        std::vector<std::byte> image = model_.least();
        const std::vector<std::byte> now = model_.most();
        const auto from = static_cast<long>(layout_.journal_start.value * kBlockSize);
        const auto to = static_cast<long>(layout_.bitmap_start.value * kBlockSize);
        std::copy(now.begin() + from, now.begin() + to, image.begin() + from);
        return image;
    }

    std::string bytes(u64 length)
    {
        std::string bytes(length, ' ');
        for (char& byte : bytes)
            byte = static_cast<char>('a' + random_() % 26);
        return bytes;
    }

    void write(u64 file, Contents& after)
    {
        const u64 size = after.now.size();
        const u64 offset = random_() % 3 == 0 ? size : random_() % (size + 20000);
        const u64 length = 1 + random_() % (random_() % 6 ? 10000 : kLargest);
        what_ = "write " + std::to_string(offset) + " + " + std::to_string(length) + " of " + std::to_string(size);
        if (offset + length > kLargest)
            return;
        std::string data = bytes(length);
        after.now.resize(max(size, offset + length));
        after.now.replace(offset, length, data);
        after.forget(offset, offset + length);
        change_ = Change{after.now, min(size, offset), offset + length};
        tarn_user from;
        from.data = reinterpret_cast<std::byte*>(data.data());
        from.length = length;
        if (random_() % 3 == 0) {  // short copies
            from.resident = random_() % (length + 1);
            from.fault_in_limit = 1 + random_() % length;
        }
        EXPECT_EQ(files_[file]->write(offset, from, length), static_cast<long long>(length)) << what_;
    }

    void resize(u64 file, Contents& after)
    {
        const u64 size = after.now.size();
        const u64 to = random_() % 2 ? random_() % (size + 1) : random_() % kLargest;
        what_ = "truncate " + std::to_string(size) + " to " + std::to_string(to);
        after.now.resize(to);
        after.forget(to, ~u64{0});
        change_ = Change{after.now, min(size, to), to};
        EXPECT_EQ(files_[file]->truncate(to), 0) << what_;
    }

    void fallocate(u64 file, Contents& after)
    {
        const u64 size = after.now.size();
        const auto kind = static_cast<tarn_fallocate_kind>(random_() % 3);
        const bool keeps = kind == TARN_FALLOCATE_PUNCH || random_() % 2;
        const u64 offset = random_() % (size + 20000);
        const u64 length = 1 + random_() % (random_() % 3 ? 20000 : kLargest);
        what_ = "fallocate " + std::to_string(kind) + (keeps ? ", size kept, " : ", ") + std::to_string(offset) +
                " + " + std::to_string(length) + " of " + std::to_string(size);
        if (offset + length > kLargest)
            return;
        if (!keeps)
            after.now.resize(max(size, offset + length));
        const u64 end = min<u64>(after.now.size(), offset + length);
        if (kind != TARN_FALLOCATE_KEEP && offset < end) {
            after.now.replace(offset, end - offset, end - offset, '\0');
            after.forget(offset, end);
        }
        change_ = kind == TARN_FALLOCATE_KEEP ? Change{after.now, min(size, end), end} : Change{after.now, min(size, offset), end};
        const auto keep = keeps ? FakeFile::KeepSize::kYes : FakeFile::KeepSize::kNo;
        EXPECT_EQ(files_[file]->fallocate(kind, keep, offset, length), 0) << what_;
    }

    // Also behind the end, in the last block: such bytes must never come up.
    void store(u64 file, Contents& after)
    {
        const u64 size = after.now.size();
        if (size == 0)
            return;
        const u64 behind = round_up(size, kBlockSize);
        const u64 at = random_() % 2 ? random_() % behind : behind - 1 - random_() % kBlockSize;
        const char byte = static_cast<char>('A' + random_() % 26);
        what_ = "store at " + std::to_string(at) + " of " + std::to_string(size);
        if (!mappings_[file])
            mappings_[file] = std::make_unique<FakeMapping>(mm_, *files_[file]);
        EXPECT_EQ(mappings_[file]->store(at, byte), 0) << what_;
        if (at >= size)
            return;
        after.unsynced[at].insert(after.now[at]);
        after.now[at] = byte;
    }

    void sync(u64 file, Contents& after)
    {
        what_ = "sync";
        EXPECT_EQ(files_[file]->sync(), 0);
        after.unsynced.clear();
    }

    void evict(u64 file, Contents& after)
    {
        what_ = "evict";
        mappings_[file].reset();
        files_[file].reset();
        files_[file] = fs_.open(mm_, name_of(file));
        after.unsynced.clear();
    }

    // Mounts the images that the operation on `file` has left, with what was there before it.
    void judge_images(u64 file)
    {
        std::vector<std::vector<std::byte>> images;
        images.swap(images_);
        for (const auto& image : images) {
            cuts_++;
            MmPause pause;
            LogCapture log;
            TestDevice crashed(image);
            FakeMm its_mm(crashed);
            {
                FakeFs fs(crashed, FakeFs::How::kMount);
                for (u64 i = 0; i < kFiles; i++)
                    EXPECT_EQ(judge(fs.open(its_mm, name_of(i))->contents(), contents_[i],
                                    i == file ? change_ : std::nullopt),
                              "")
                        << name_of(i) << ", power cut in: " << what_ << " (file " << file << ")";
            }
            EXPECT_EQ(check_as_is(crashed).text(), "") << what_;
        }
    }

    std::mt19937_64 random_;
    std::vector<std::vector<std::byte>> images_;  // of the fences of the operation under way
    TestDevice device_;
    Layout layout_;
    FakeMm mm_;
    PersistModel model_;
    FakeFs fs_;
    std::unique_ptr<FakeFile> files_[kFiles];
    std::unique_ptr<FakeMapping> mappings_[kFiles];
    Contents contents_[kFiles];
    std::optional<Change> change_;  // under way
    std::string what_;
    u64 cuts_ = 0;
};

}  // namespace

TEST(CrashExplore, NoByteOfAFileIsLostOrSomebodyElses)
{
    u64 cuts = 0;
    const u64 first = test_seed();
    for (u64 seed = first; seed < first + 4 && !testing::Test::HasFailure(); seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Explorer explorer(seed);
        for (int i = 0; i < 60 && !testing::Test::HasFailure(); i++)
            explorer.step();
        cuts += explorer.cuts();
    }
    EXPECT_GT(cuts, 300u);
}

}  // namespace tarn::test
