// SPDX-License-Identifier: GPL-2.0
// Positions in a directory that changes: whoever reads it through small buffers, while names come and go and
// nodes split and merge, sees each entry that was there all the time exactly once, and in the same order
// after seeking back.
#include <set>

#include "tests/host/namespace_fixture.hpp"
#include "tests/host/support/random.hpp"

namespace tarn::test {

namespace {

// Few hashes with many names each: most of the keys tried are neighbours of others.
constexpr u64 kHashes = 400;
constexpr u64 kNamesOfAHash = 8;
constexpr u64 kHashShift = 16;

class ChangingDirectory {
  public:
    explicit ChangingDirectory(u64 seed) : random_(seed)
    {
        world_.mkdir("directory");
        dir_ = world_.open(world_.last);
    }

    u64 below(u64 limit) { return random_() % limit; }
    const std::set<u64>& keys() const { return keys_; }
    u64 nodes() { return dir_->read().blocks; }

    // A key of the directory that is not in use, or 0.
    u64 add()
    {
        const u64 key = ((1 + below(kHashes)) << kHashShift) + below(kNamesOfAHash);
        return keys_.insert(key).second ? insert(key) : 0;
    }
    void remove(u64 key)
    {
        Transaction txn(volume());
        ExclusiveGuard guard(dir_->lock);
        ASSERT_TRUE(Tree<DirentKind>(volume(), dir_->tree()).erase(txn, key).is_ok());
        ASSERT_TRUE(txn.commit().is_ok());
        keys_.erase(key);
    }
    // One call of getdents: what fits.
    std::vector<u64> read(u64 cookie, u32 size)
    {
        std::vector<u64> found, buffer(size / 8);
        MutableBytes bytes(reinterpret_cast<byte*>(buffer.data()), size / 8 * 8);
        auto used = world_.names().read(*dir_, cookie, bytes);
        EXPECT_TRUE(used.is_ok());
        for (u32 at = 0; used.is_ok() && at < used.value();) {
            const auto& entry = *reinterpret_cast<const tarn_dir_entry*>(bytes.data() + at);
            EXPECT_EQ(name_of(entry.cookie), std::string(entry.name, entry.length));
            found.push_back(entry.cookie);
            at += static_cast<u32>(round_up(offsetof(tarn_dir_entry, name) + entry.length, 8));
        }
        return found;
    }

  private:
    Volume& volume() { return world_.files.fs().volume(); }
    // Of very different lengths, so that nodes split at many places.
    static std::string name_of(u64 key)
    {
        return std::to_string(key) + std::string(key * 0x9e3779b97f4a7c15 >> 56 & 0xff & 191, 'x');
    }
    // As if the name had this hash and were the so manieth of it.
    u64 insert(u64 key)
    {
        const std::string name = name_of(key);
        alignas(8) std::string payload(8, '\0');
        payload[0] = 1;  // the root directory's number
        payload += static_cast<char>(8);
        payload += static_cast<char>(name.size());
        payload += name;
        payload.resize(round_up(payload.size() + 8, 8) - 8);
        Transaction txn(volume());
        ExclusiveGuard guard(dir_->lock);
        EXPECT_TRUE(Tree<DirentKind>(volume(), dir_->tree()).insert(txn, key, name_bytes(payload)).is_ok());
        EXPECT_TRUE(txn.commit().is_ok());
        return key;
    }

    struct World : NamespaceFixture {
        void mkdir(const std::string& name)
        {
            ASSERT_EQ(create(kRoot, name, kTypeDirectory | 0755), Error::kNone);
        }
    } world_;
    std::mt19937_64 random_;
    std::unique_ptr<Inode> dir_;
    std::set<u64> keys_;
};

// One who reads from a position to the end; `expected` is what stays there all the time.
struct Reader {
    u64 cookie = TARN_COOKIE_FIRST;
    std::set<u64> expected;
    std::set<u64> seen;

    void take(const std::vector<u64>& entries, const std::set<u64>& present)
    {
        for (u64 key : entries) {
            ASSERT_GE(key, cookie) << "position goes back";
            ASSERT_TRUE(present.count(key)) << "an entry that is not there";
            ASSERT_TRUE(seen.insert(key).second);
            cookie = key + 1;
        }
    }
    void at_end() const
    {
        for (u64 key : expected)
            ASSERT_TRUE(seen.count(key)) << "missed " << key;
    }
};

}  // namespace

TEST(DirectoryCookies, WhatStaysIsSeenExactlyOnce)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    ChangingDirectory dir(seed);
    u64 most_nodes = 0, fewest_nodes = ~u64{0};
    for (int round = 0; round < 12; round++) {
        // Full and nearly empty by turns: splits during the one half of the rounds, merges during the other.
        const bool grows = round % 2 == 0;
        while (dir.keys().size() < (grows ? 40u : kHashes * kNamesOfAHash / 2))
            dir.add();
        std::set<u64> staying;
        for (u64 key : dir.keys())
            if (dir.below(grows ? 2 : 20) == 0)
                staying.insert(key);
        Reader reader{TARN_COOKIE_FIRST, staying, {}};
        u64 seeks = 8;
        for (;;) {
            const std::vector<u64> entries = dir.read(reader.cookie, static_cast<u32>(280 + dir.below(700)));
            if (entries.empty()) {
                reader.at_end();
                if (!seeks--)
                    break;
            }
            reader.take(entries, dir.keys());
            if (HasFatalFailure())
                return;
            if (entries.empty() || (seeks && dir.below(40) == 0)) {
                // Back to where somebody was told he is: behind an entry that may be gone by now.
                const u64 back = dir.below(reader.cookie - TARN_COOKIE_FIRST + 1) + TARN_COOKIE_FIRST;
                seeks -= entries.empty() ? 0 : 1;
                reader = Reader{back, {staying.lower_bound(back), staying.end()}, {}};
            }
            for (u64 changes = dir.below(60); changes > 0; changes--) {
                auto victim = dir.keys().lower_bound(dir.below(kHashes + 1) << kHashShift);
                if (dir.below(10) < (grows ? 8u : 2u))
                    dir.add();
                else if (victim != dir.keys().end() && !staying.count(*victim))
                    dir.remove(*victim);
            }
            most_nodes = std::max(most_nodes, dir.nodes());
            fewest_nodes = std::min(fewest_nodes, dir.nodes());
        }
    }
    EXPECT_GT(most_nodes, 20u);
    EXPECT_LT(fewest_nodes, most_nodes / 2);
}

}  // namespace tarn::test
