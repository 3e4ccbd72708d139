// SPDX-License-Identifier: GPL-2.0
// What a tarn_pmem disk does with requests and with poison.
#include <gtest/gtest.h>

#include <random>

#include "tests/host/pmem_media.hpp"

namespace tarn::pmem::test {
namespace {

using Log = std::vector<std::string>;

ByteRange range(u64 offset, u64 length) { return {Byte(offset), length}; }

Error write(Media& media, u64 offset, const std::string& text)
{
    const Disk disk = media.disk();
    if (Status status = disk.begin_write(range(offset, text.size())); !status)
        return status.error();
    disk.write(range(offset, text.size()), text.data());
    disk.end_write(range(offset, text.size()));
    return Error::kNone;
}

Error read(Media& media, u64 offset, u64 length, std::string* out = nullptr)
{
    std::string buffer(length, '-');
    const Disk disk = media.disk();
    if (Status status = disk.begin_read(range(offset, length)); !status)
        return status.error();
    const Error error = disk.read(range(offset, length), buffer.data()).error();
    if (out)
        *out = buffer;
    return error;
}

TEST(PmemDisk, ReadsWhatWasWritten)
{
    Media media(4);
    std::string back;
    EXPECT_EQ(write(media, 4090, "across a page"), Error::kNone);
    EXPECT_EQ(read(media, 4090, 13, &back), Error::kNone);
    EXPECT_EQ(back, "across a page");
}

TEST(PmemDisk, RangeEndsAtTheDisk)
{
    Media media(2);
    EXPECT_TRUE(media.disk().range(8192, 0));
    EXPECT_TRUE(media.disk().range(0, 8192));
    EXPECT_EQ(media.disk().range(0, 8193).error(), Error::kInvalid);
    EXPECT_EQ(media.disk().range(8193, 0).error(), Error::kInvalid);
    EXPECT_EQ(media.disk().range(4096, ~u64{0}).error(), Error::kInvalid);
    EXPECT_EQ(media.disk().range(~u64{0}, ~u64{0}).error(), Error::kInvalid);
    char byte = 0;
    EXPECT_EQ(tarn_pmem_read(&media.c_disk(), 8192, &byte, 1), -22);
    EXPECT_EQ(tarn_pmem_write(&media.c_disk(), 8191, "ab", 2), -22);
    EXPECT_EQ(tarn_pmem_zero(&media.c_disk(), 4096, 8192), -22);
}

TEST(PmemDisk, BadSectorFailsEveryReadThatTouchesIt)
{
    Media media(4);
    media.poison(9, 1);
    EXPECT_EQ(read(media, 8 * 512, 512), Error::kNone);
    EXPECT_EQ(read(media, 8 * 512, 513), Error::kPoison);
    EXPECT_EQ(read(media, 9 * 512 + 511, 1), Error::kPoison);
    EXPECT_EQ(read(media, 10 * 512, 512), Error::kNone);
    EXPECT_EQ(read(media, 0, 4 * 4096), Error::kPoison);
}

TEST(PmemDisk, ListedSectorFailsEvenWhenItCouldBeLoaded)
{
    Media media(4);
    media.bad.insert(9);
    EXPECT_EQ(read(media, 9 * 512 + 511, 1), Error::kPoison);
    EXPECT_EQ(read(media, 8 * 512 + 1, 512), Error::kPoison);
}

TEST(PmemDisk, PoisonNobodyKnewOfIsReportedWhenMet)
{
    Media media(4);
    media.poison_secretly(3, 1);
    EXPECT_EQ(read(media, 0, 3 * 512), Error::kNone);
    EXPECT_EQ(read(media, 0, 4 * 512), Error::kPoison);
}

TEST(PmemDisk, WriteHealsInTheRightOrder)
{
    Media media(4);
    media.poison(9, 2);
    EXPECT_EQ(write(media, 8 * 512, std::string(4 * 512, 'x')), Error::kNone);
    EXPECT_EQ(media.log, (Log{"clear 4608+1024", "store 4096+2048", "forget 8+4"}));
    EXPECT_TRUE(media.bad.empty());
    EXPECT_EQ(read(media, 9 * 512, 1024), Error::kNone);
}

TEST(PmemDisk, WriteClearsOnlyWhatIsBad)
{
    Media media(4);
    media.poison(1, 1);
    media.poison(5, 1);
    media.poison(20, 1);
    EXPECT_EQ(write(media, 0, std::string(4096, 'x')), Error::kNone);
    EXPECT_EQ(media.log, (Log{"clear 512+512", "clear 2560+512", "store 0+4096", "forget 0+8"}));
    EXPECT_EQ(media.bad, (std::set<u64>{20}));
}

TEST(PmemDisk, WriteInsideARunHealsItsPartOfIt)
{
    Media media(4);
    media.poison(0, 8);
    EXPECT_EQ(write(media, 2 * 512, std::string(512, 'x')), Error::kNone);
    EXPECT_EQ(media.log, (Log{"clear 1024+512", "store 1024+512", "forget 2+1"}));
    EXPECT_EQ(media.bad, (std::set<u64>{0, 1, 3, 4, 5, 6, 7}));
}

TEST(PmemDisk, WriteToPartOfABadSectorFailsAndChangesNothing)
{
    Media media(4);
    media.fill('o');
    media.poison(2, 1);
    EXPECT_EQ(write(media, 2 * 512 + 8, "tiny"), Error::kPoison);
    EXPECT_EQ(media.log, Log{});
    EXPECT_EQ(media.bytes(2 * 512 + 8, 4), "oooo");
    EXPECT_EQ(media.bad.size(), 1u);
}

TEST(PmemDisk, WriteFailsWhenThePlatformCannotClear)
{
    Media media(4);
    media.fill('o');
    media.poison(2, 1);
    media.clear_fails = true;
    EXPECT_EQ(write(media, 0, std::string(4096, 'x')), Error::kPoison);
    EXPECT_EQ(media.bytes(0, 512), std::string(512, 'o'));
    EXPECT_EQ(read(media, 2 * 512, 512), Error::kPoison);
}

// What clearing leaves in the sectors that it reached must not be readable.
TEST(PmemDisk, HalfClearedStaysBad)
{
    Media media(4);
    media.poison(0, 4);
    media.can_clear = 1024;
    EXPECT_EQ(write(media, 0, std::string(4096, 'x')), Error::kPoison);
    EXPECT_EQ(media.bad.size(), 4u);
    EXPECT_EQ(read(media, 0, 512), Error::kPoison);
}

TEST(PmemDisk, ShortRecoveryForgetsOnlyWholeSectors)
{
    Media media(4);
    media.poison(0, 8);
    ASSERT_EQ(tarn_pmem_begin_write(&media.c_disk(), 0, 4096), 0);
    tarn_pmem_end_write(&media.c_disk(), 0, 1300);  // the copy ended early
    EXPECT_EQ(media.bad, (std::set<u64>{2, 3, 4, 5, 6, 7}));
}

TEST(PmemDisk, FailedPageComesBackWithAWriteOverAllThatIsBadInIt)
{
    Media media(4);
    media.poison(8, 8);
    media.blocked.insert(1);
    EXPECT_EQ(write(media, 4096, std::string(512, 'x')), Error::kPoison);
    EXPECT_TRUE(media.blocked.count(1));
    EXPECT_EQ(write(media, 4096, std::string(4096, 'x')), Error::kNone);
    EXPECT_FALSE(media.blocked.count(1));
    EXPECT_TRUE(media.bad.empty());
}

TEST(PmemDisk, FailedPageIsUnblockedBeforeItIsStoredTo)
{
    Media media(4);
    media.poison(9, 1);
    media.blocked.insert(1);
    EXPECT_EQ(write(media, 9 * 512, std::string(512, 'x')), Error::kNone);
    EXPECT_EQ(media.log, (Log{"clear 4608+512", "unblock 1+1", "store 4608+512", "forget 9+1"}));
}

// The sector written is good, but the page it is in has lost its mapping.
TEST(PmemDisk, NoStoreIntoAFailedPageBesideItsBadSectors)
{
    Media media(4);
    media.poison(9, 1);
    media.blocked.insert(1);
    EXPECT_EQ(write(media, 10 * 512, std::string(512, 'x')), Error::kPoison);
    EXPECT_EQ(media.log, Log{});
}

TEST(PmemDisk, InjectedFailureGoesAwayWithAPageWrite)
{
    Media media(4);
    media.blocked.insert(2);
    EXPECT_EQ(write(media, 2 * 4096, std::string(4096, 'x')), Error::kNone);
    EXPECT_TRUE(media.blocked.empty());
}

TEST(PmemDisk, ReadOnlyRefusesEveryChange)
{
    Media media(4);
    media.fill('o');
    media.poison(0, 1);
    media.c_disk().memory.read_only = 1;
    EXPECT_EQ(write(media, 0, std::string(4096, 'x')), Error::kReadOnly);
    EXPECT_EQ(media.disk().zero(range(0, 4096)).error(), Error::kReadOnly);
    EXPECT_EQ(media.disk().discard(range(0, 4096)).error(), Error::kReadOnly);
    EXPECT_EQ(media.log, Log{});
    EXPECT_EQ(read(media, 4096, 512), Error::kNone);
}

TEST(PmemDisk, ZeroesLongRangesInStepsWithPauses)
{
    Media media(1024);  // 4 MiB
    media.fill('o');
    media.poison(1, 1);
    EXPECT_TRUE(media.disk().zero(range(512, 3 << 20)));
    EXPECT_EQ(media.pauses, 2u);
    EXPECT_EQ(media.bytes(0, 512), std::string(512, 'o'));
    EXPECT_EQ(media.bytes(512, 3 << 20), std::string(3 << 20, '\0'));
    EXPECT_EQ(media.bytes((3 << 20) + 512, 512), std::string(512, 'o'));
    EXPECT_TRUE(media.bad.empty());
}

TEST(PmemDisk, DiscardHealsBadSectorsAndKeepsGoodOnes)
{
    Media media(4);
    media.fill('o');
    media.poison(3, 2);
    media.poison(30, 2);  // its first sector is inside
    EXPECT_TRUE(media.disk().discard(range(0, 31 * 512)));
    EXPECT_EQ(media.bad, (std::set<u64>{31}));
    EXPECT_EQ(media.bytes(3 * 512, 1024), std::string(1024, '\0'));
    EXPECT_EQ(media.bytes(0, 3 * 512), std::string(3 * 512, 'o'));
}

TEST(PmemDisk, DiscardOfPartOfABadSectorLeavesIt)
{
    Media media(4);
    media.fill('o');
    media.poison(3, 1);
    EXPECT_TRUE(media.disk().discard(range(3 * 512 + 1, 511)));
    EXPECT_TRUE(media.disk().discard(range(2 * 512, 1023)));
    EXPECT_EQ(media.bad.size(), 1u);
    EXPECT_EQ(media.log, Log{});
}

TEST(PmemDisk, DiscardOfWhatCannotBeHealedSucceedsAndEnds)
{
    Media media(4);
    media.poison(3, 2);
    media.clear_fails = true;
    EXPECT_TRUE(media.disk().discard(range(0, 4 * 4096)));
    EXPECT_EQ(media.bad.size(), 2u);
}

TEST(PmemDisk, ReachEndsAtTheDiskAndAtTheCallersWish)
{
    Media media(10);
    const auto reach = [&](u64 page, long pages) {
        return tarn_pmem_reach(&media.c_disk(), page, pages, TARN_PMEM_ACCESS);
    };
    EXPECT_EQ(reach(0, 1000), 10);
    EXPECT_EQ(reach(3, 1000), 7);
    EXPECT_EQ(reach(3, 2), 2);
    EXPECT_EQ(reach(9, 1), 1);
    EXPECT_EQ(reach(10, 1), 0);
    EXPECT_EQ(reach(~u64{0}, 1), 0);
    EXPECT_EQ(reach(0, 0), 1);
}

TEST(PmemDisk, ReachEndsBeforeABadPage)
{
    Media media(10);
    media.poison(5 * 8 + 7, 2);  // last sector of page 5, first of page 6
    const auto reach = [&](u64 page, tarn_pmem_access access) {
        return tarn_pmem_reach(&media.c_disk(), page, 1000, access);
    };
    EXPECT_EQ(reach(0, TARN_PMEM_ACCESS), 5);
    EXPECT_EQ(reach(4, TARN_PMEM_ACCESS), 1);
    EXPECT_EQ(reach(5, TARN_PMEM_ACCESS), -133);
    EXPECT_EQ(reach(6, TARN_PMEM_ACCESS), -133);
    EXPECT_EQ(reach(7, TARN_PMEM_ACCESS), 3);
    EXPECT_EQ(reach(0, TARN_PMEM_RECOVERY), 5);
    EXPECT_EQ(reach(5, TARN_PMEM_RECOVERY), 1);
    media.c_disk().poison_errno = -5;
    EXPECT_EQ(reach(5, TARN_PMEM_ACCESS), -5);
}

TEST(PmemDisk, FlushReportsFailure)
{
    Media media(1);
    EXPECT_EQ(tarn_pmem_flush(&media.c_disk()), 0);
    media.flush_result = -12;
    EXPECT_EQ(tarn_pmem_flush(&media.c_disk()), -5);
}

TEST(PmemDisk, FailureIsClippedToTheDisk)
{
    Media media(4);
    const u64 start = media.c_disk().memory.first_pfn * 4096;
    unsigned long long offset = 0;
    unsigned long long length = 0;
    const auto fail = [&](u64 physical, u64 bytes, int real) {
        return tarn_pmem_failure(&media.c_disk(), physical, bytes, real, &offset, &length);
    };
    EXPECT_EQ(fail(start + 4096, 4096, 1), 0);
    EXPECT_EQ(offset, 4096u);
    EXPECT_EQ(length, 4096u);
    EXPECT_EQ(media.bad.size(), 8u);
    EXPECT_EQ(fail(start - 4096, 8192, 0), 0);  // an injection is passed on, not remembered
    EXPECT_EQ(offset, 0u);
    EXPECT_EQ(length, 4096u);
    EXPECT_EQ(media.bad.size(), 8u);
    EXPECT_EQ(fail(start + 3 * 4096, ~u64{0}, 0), 0);
    EXPECT_EQ(length, 4096u);
    EXPECT_EQ(fail(start - 4096, 4096, 1), -6);
    EXPECT_EQ(fail(start + 4 * 4096, 4096, 1), -6);
}

TEST(PmemDisk, MissingMemoryIsNoticed)
{
    Media nowhere(64);
    nowhere.absent_from = 0;
    EXPECT_FALSE(tarn_pmem_is_backed(&nowhere.c_disk()));
    Media half(64);
    half.absent_from = 32 * kPageSize;
    EXPECT_FALSE(tarn_pmem_is_backed(&half.c_disk()));
    EXPECT_EQ(half.bytes(0, 64 * kPageSize), std::string(64 * kPageSize, '\0'));
}

TEST(PmemDisk, BlankMemoryIsThereAndStaysBlank)
{
    for (char blank : {'\0', '\xff'}) {
        Media media(64);
        media.fill(blank);
        EXPECT_TRUE(tarn_pmem_is_backed(&media.c_disk()));
        EXPECT_EQ(media.bytes(0, 64 * kPageSize), std::string(64 * kPageSize, blank));
    }
}

TEST(PmemDisk, NothingIsStoredToMemoryThatSomebodyUses)
{
    for (u64 offset : {u64{0}, u64{1024 + 56}, u64{4096}, u64{65535}}) {
        Media media(64);
        media.base()[offset] = 0x53;
        EXPECT_TRUE(tarn_pmem_is_backed(&media.c_disk()));
        EXPECT_EQ(media.log, Log{}) << offset;
    }
    Media media(64);
    media.c_disk().memory.read_only = 1;
    EXPECT_TRUE(tarn_pmem_is_backed(&media.c_disk()));
    EXPECT_EQ(media.log, Log{});
}

// Random requests against a model: a reader never sees anything but what was stored last, or an error.
TEST(PmemDisk, RandomRequestsAgreeWithAModel)
{
    constexpr u64 kSectors = 64;
    for (unsigned seed = 1; seed <= 200; seed++) {
        std::mt19937 random(seed);
        Media media(kSectors / 8);
        media.fill('a');
        std::string model(kSectors * 512, 'a');
        std::set<u64> lost;
        for (int step = 0; step < 100; step++) {
            const u64 first = random() % kSectors;
            const u64 count = 1 + random() % std::min<u64>(kSectors - first, 20);
            const char letter = static_cast<char>('b' + random() % 20);
            switch (random() % 5) {
                case 0:
                    media.poison(first, 1 + count % 3 > kSectors - first ? 1 : 1 + count % 3);
                    lost = media.bad;
                    break;
                case 1: media.can_clear = random() % 2 ? ~u64{0} : 512; break;
                case 2:
                case 3:
                    if (write(media, first * 512, std::string(count * 512, letter)) == Error::kNone) {
                        model.replace(first * 512, count * 512, count * 512, letter);
                        for (u64 n = first; n < first + count; n++)
                            lost.erase(n);
                    }
                    break;
                default:
                    std::string seen;
                    const Error error = read(media, first * 512, count * 512, &seen);
                    if (error == Error::kNone)
                        ASSERT_EQ(seen, model.substr(first * 512, count * 512)) << "seed " << seed;
                    else
                        ASSERT_NE(lost.lower_bound(first), lost.lower_bound(first + count))
                            << "seed " << seed;
            }
            ASSERT_EQ(media.bad, lost) << "seed " << seed;
        }
    }
}

}  // namespace
}  // namespace tarn::pmem::test
