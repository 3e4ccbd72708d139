// SPDX-License-Identifier: GPL-2.0
// Namespace and InodeTable from several threads, with the locks the VFS would hold. For TSan; and the result
// is checked.
#include <shared_mutex>
#include <thread>

#include "tests/host/namespace_fixture.hpp"

namespace tarn::test {

namespace {

constexpr u64 kDirectories = 3;
constexpr int kThreads = 4;
constexpr int kSteps = 250;

// One object per inode in use, as in the kernel's inode cache, and i_rwsem of the directories.
class Cache {
  public:
    explicit Cache(NamespaceFixture& fixture) : t_(fixture)
    {
        for (u64 i = 0; i < kDirectories; i++) {
            t_.create(kRoot, "dir" + std::to_string(i), kTypeDirectory | 0755);
            directories_[i] = t_.open(t_.last);
        }
    }

    Inode& directory(u64 i) { return *directories_[i]; }
    std::shared_mutex& lock(u64 i) { return locks_[i]; }

    std::shared_ptr<Inode> get(InodeNumber number)
    {
        std::lock_guard guard(registry_);
        std::shared_ptr<Inode>& known = inodes_[number.value];
        if (!known)
            known = t_.open(number);
        return known;
    }
    // The inode has lost its last name: out of the cache, then freed, as in evict.
    void free(std::shared_ptr<Inode> inode)
    {
        {
            std::lock_guard guard(registry_);
            inodes_.erase(inode->number.value);
        }
        EXPECT_TRUE(t_.files.fs().inodes().free(*inode).is_ok());
    }

  private:
    NamespaceFixture& t_;
    std::unique_ptr<Inode> directories_[kDirectories];
    std::shared_mutex locks_[kDirectories];
    std::mutex registry_;
    std::map<u64, std::shared_ptr<Inode>> inodes_;
};

class Worker {
  public:
    Worker(NamespaceFixture& fixture, Cache& cache, u64 seed) : t_(fixture), cache_(cache), random_(seed) {}

    void run()
    {
        for (int i = 0; i < kSteps; i++) {
            switch (random_() % 6) {
                case 0:
                case 1: create(); break;
                case 2: unlink(); break;
                case 3: rename(); break;
                case 4: look(); break;
                default: list(); break;
            }
        }
    }

  private:
    std::string name() { return "n" + std::to_string(random_() % 60); }
    tarn_time now() { return tarn_time{1700000000 + static_cast<s64>(random_() % 1000), 0}; }

    void create()
    {
        const u64 dir = random_() % kDirectories;
        std::unique_lock guard(cache_.lock(dir));
        const std::string wanted = name();
        const bool link = random_() % 3 == 0;
        const std::string target(link ? 200 : 0, 't');
        const NewInode what{
            link ? kTypeSymlink | 0777u : kTypeRegular | 0644u, 0, 0, 0, name_bytes(target), now()};
        auto made = t_.names().create(cache_.directory(dir), name_bytes(wanted), what);
        EXPECT_TRUE(made.is_ok() || made.error() == Error::kExists) << describe(made.error());
    }
    std::shared_ptr<Inode> find(u64 dir, const std::string& wanted)
    {
        auto number = t_.names().find(cache_.directory(dir), name_bytes(wanted));
        return number.is_ok() ? cache_.get(number.value()) : nullptr;
    }
    void unlink()
    {
        const u64 dir = random_() % kDirectories;
        const std::string wanted = name();
        std::shared_ptr<Inode> inode;
        {
            std::unique_lock guard(cache_.lock(dir));
            inode = find(dir, wanted);
            if (!inode)
                return;
            EXPECT_TRUE(t_.names().unlink(cache_.directory(dir), name_bytes(wanted), *inode, now()).is_ok());
        }
        cache_.free(inode);
    }
    void rename()
    {
        u64 from = random_() % kDirectories, to = random_() % kDirectories;
        std::unique_lock first(cache_.lock(min(from, to)));
        std::unique_lock<std::shared_mutex> second;
        if (from != to)
            second = std::unique_lock(cache_.lock(max(from, to)));
        const std::string old_name = name(), new_name = name();
        std::shared_ptr<Inode> moved = find(from, old_name), target = find(to, new_name);
        if (!moved || moved == target)
            return;
        const Rename what{cache_.directory(from),
                          name_bytes(old_name),
                          cache_.directory(to),
                          name_bytes(new_name),
                          *moved,
                          target.get(),
                          now()};
        EXPECT_TRUE(t_.names().rename(what).is_ok());
        first.unlock();
        if (second)
            second.unlock();
        if (target)
            cache_.free(target);
    }
    void look()
    {
        const u64 dir = random_() % kDirectories;
        std::shared_lock guard(cache_.lock(dir));
        std::shared_ptr<Inode> inode = find(dir, name());
        if (!inode)
            return;
        tarn_attributes attributes = {};
        t_.names().attributes(*inode, attributes);
        EXPECT_EQ(attributes.number, inode->number.value);
        attributes.uid++;
        EXPECT_TRUE(t_.names().set_attributes(*inode, attributes).is_ok());
    }
    void list()
    {
        const u64 dir = random_() % kDirectories;
        std::shared_lock guard(cache_.lock(dir));
        alignas(8) byte buffer[4096];
        u64 entries = 0;
        for (u64 cookie = TARN_COOKIE_FIRST;;) {
            auto used = t_.names().read(cache_.directory(dir), cookie, MutableBytes(buffer));
            ASSERT_TRUE(used.is_ok());
            if (used.value() == 0)
                break;
            for (u32 at = 0; at < used.value(); entries++) {
                const auto& entry = *reinterpret_cast<const tarn_dir_entry*>(buffer + at);
                cookie = entry.cookie + 1;
                at += static_cast<u32>(round_up(offsetof(tarn_dir_entry, name) + entry.length, 8));
            }
        }
        tarn_attributes attributes = {};
        t_.names().attributes(cache_.directory(dir), attributes);
        EXPECT_EQ(entries, attributes.size);
    }

    NamespaceFixture& t_;
    Cache& cache_;
    std::mt19937_64 random_;
};

}  // namespace

TEST(NamespaceThreads, ManyAtOnceLeaveItConsistent)
{
    NamespaceFixture t(8192);
    {
        Cache cache(t);
        std::vector<std::thread> threads;
        for (int i = 0; i < kThreads; i++)
            threads.emplace_back([&, i] { Worker(t, cache, static_cast<u64>(i) + 1).run(); });
        for (std::thread& thread : threads)
            thread.join();
    }
    const u64 used = t.files.fs().inodes().used();
    t.files.cut_power();
    const Checked checked = check_device(t.files.device());
    EXPECT_EQ(checked.text(), "");
    EXPECT_EQ(checked.summary.inodes + 1, used) << "the table itself is no inode to the check";
    EXPECT_EQ(checked.summary.orphans, 0u);
}

}  // namespace tarn::test
