// SPDX-License-Identifier: GPL-2.0
// A version that somebody has seen before contents change is another one afterwards, also where he asks in the
// middle of the change: what he read then may be the old contents.
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

}  // namespace

TEST_F(FileVersion, SeenInTheMiddleOfAChangeItIsAnotherAfterwards)
{
    changes_what_was_seen("truncate", [&] { return file->truncate(2 * kB); });
    changes_what_was_seen("punch", [&] { return file->punch(kB, 2 * kB); });
    changes_what_was_seen("zero", [&] { return file->zero(kB, 2 * kB); });
    changes_what_was_seen("collapse", [&] { return file->collapse(kB, 2 * kB); });
    changes_what_was_seen("insert", [&] { return file->insert(kB, 2 * kB); });
}

}  // namespace tarn::test
