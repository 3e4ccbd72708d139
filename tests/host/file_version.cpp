// SPDX-License-Identifier: GPL-2.0
// A version that somebody has seen before contents change is another one afterwards, also where he asks in
// the middle of the change: what he read then may be the old contents. And so it is where the power goes in
// the middle.
#include <functional>
#include <memory>
#include <vector>

#include "tests/host/file_fixture.hpp"

namespace tarn::test {

namespace {

constexpr u64 kB = kBlockSize;

class FileVersion : public FileTest {
  protected:
    u64 version()
    {
        unsigned long long seen = 0;
        EXPECT_EQ(tarn_inode_query_version(file->inode(), &seen), 0);
        return seen;
    }
    // Somebody asks whenever a page is un-mapped, which each of the changes does on its way.
    template <class Change>
    void changes_what_was_seen(const char* what, Change change)
    {
        SCOPED_TRACE(what);
        file->truncate(0);
        file->write(0, pattern(6 * kB));
        FakeMapping mapping(mm, *file);
        for (u64 block = 0; block < 6; block++)
            ASSERT_EQ(mapping.store(block * kB, 's'), 0);
        u64 last = version();
        int asked = 0;
        mm.zapping = [&](u64, u64) {
            last = version();
            asked++;
        };
        ASSERT_EQ(change(), 0);
        mm.zapping = nullptr;
        EXPECT_GT(asked, 0);
        EXPECT_NE(version(), last);
    }
};

// Somebody asks in the middle of each streaming store, and the power goes when he has been told.
class Asking {
  public:
    Asking(TestDevice& device, std::function<u64()> version) : device_(device), version_(std::move(version))
    {
        device.backing().observer = {this, on_event};
        image_ = std::make_unique<DurableImage>(device);
    }
    ~Asking()
    {
        image_.reset();
        device_.backing().observer = {};
    }
    u64 told = 0;
    std::vector<std::byte> left;  // by the power cut

  private:
    static int on_event(void* context, const host::Event& event)
    {
        auto& self = *static_cast<Asking*>(context);
        if (event.kind != host::Event::Kind::kCopy || self.is_asking_ || self.told)
            return 0;
        self.is_asking_ = true;
        self.told = self.version_();
        self.left = self.image_->bytes();
        self.is_asking_ = false;
        return 0;
    }

    TestDevice& device_;
    std::function<u64()> version_;
    std::unique_ptr<DurableImage> image_;
    bool is_asking_ = false;
};

u64 version_of_image(const std::vector<std::byte>& image)
{
    MmPause pause;
    LogCapture log;
    TestDevice crashed(image);
    FakeMm its_mm(crashed);
    FakeFs its_fs(crashed, FakeFs::How::kMount);
    unsigned long long version = 0;
    EXPECT_EQ(tarn_inode_query_version(its_fs.open(its_mm, "file")->inode(), &version), 0);
    return version;
}

}  // namespace

TEST_F(FileVersion, ToldWhileBytesAreOverwrittenItIsNotThatOfWhatAPowerCutLeaves)
{
    const std::string old = pattern(2 * kB);
    file->write(0, old);
    Asking asking(device, [&] { return version(); });
    file->write(0, pattern(2 * kB, 'A'));
    ASSERT_NE(asking.told, 0u);
    EXPECT_NE(contents_of_image(asking.left), old) << "some bytes are new already";
    EXPECT_GT(version_of_image(asking.left), asking.told);
    const u64 after = version();
    EXPECT_GT(after, asking.told);
    EXPECT_EQ(version(), after) << "it stays";
}

TEST_F(FileVersion, WhilePagesAreWritableEveryoneWhoAsksIsToldAnother)
{
    file->write(0, pattern(2 * kB));
    FakeMapping mapping(mm, *file);
    ASSERT_EQ(mapping.store(0, 's'), 0);
    const u64 told = version();
    ASSERT_EQ(mapping.store(8, 's'), 0);  // no fault
    EXPECT_GT(version(), told);
    ASSERT_EQ(file->sync(), 0);
    const u64 clean = version();
    EXPECT_EQ(version(), clean);
    ASSERT_EQ(mapping.store(16, 's'), 0);
    EXPECT_GT(version(), clean);
}

// What is there may be of contents that a record, not replayed, is newer than.
TEST_F(FileVersion, WithoutRecoveryNoneIsTold)
{
    unsigned long long told = 0;
    ASSERT_EQ(tarn_inode_query_version(fs->root(), &told), 0);
    file.reset();
    fs.reset();
    const char* why = nullptr;
    tarn_fs* as_it_is = nullptr;
    ASSERT_EQ(tarn_fs_open(&device.device(), TARN_AS_IT_IS, &as_it_is, &why), 0) << why;
    tarn_inode root;
    tarn_attributes attributes;
    ASSERT_EQ(tarn_inode_open(as_it_is, TARN_ROOT_INODE, &root, &attributes), 0);
    EXPECT_EQ(tarn_inode_query_version(&root, &told), -EROFS);
    tarn_inode_close(&root);
    tarn_fs_close(as_it_is);
    fs = std::make_unique<FakeFs>(device, FakeFs::How::kMount);
}

TEST_F(FileVersion, SeenInTheMiddleOfAChangeItIsAnotherAfterwards)
{
    changes_what_was_seen("truncate", [&] { return file->truncate(2 * kB); });
    changes_what_was_seen("punch", [&] { return file->punch(kB, 2 * kB); });
    changes_what_was_seen("zero", [&] { return file->zero(kB, 2 * kB); });
    changes_what_was_seen("collapse", [&] { return file->collapse(kB, 2 * kB); });
    changes_what_was_seen("insert", [&] { return file->insert(kB, 2 * kB); });
}

}  // namespace tarn::test
