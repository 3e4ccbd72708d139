// SPDX-License-Identifier: GPL-2.0
// World: a mounted file system with a file that several processes map and change, in the state that a Scene
// says; the Actions that a thread may do there; and what must hold when they are over.
//
// Checked while they run: who has stored to a page, or pinned it, finds it the file's; a page is never let go
// while it is mapped, nor has two owners (FakeMm); a store is in an entry tagged dirty; what was stored
// before an fsync began is durable when it returns, and it visits nothing that became dirty later, or that
// lies outside of its range. Checked at the end: History explains what was seen; no PTE is writable without a
// tag, none maps what is not the file's, or shows something else than read(2); after one more fsync
// everything is clean and durable; after munmap no entry is left.
#pragma once
#include <memory>
#include <stdexcept>

#include "tests/host/support/fake_mm.hpp"
#include "tests/host/support/persist_model.hpp"
#include "tests/interleave/history.hpp"

namespace tarn::test {

inline constexpr unsigned kMostThreads = 3;

struct Violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class World;

struct Scene {
    const char* name;
    bool is_huge;  // 2 MiB, else two blocks
    enum class Blocks { kHole, kUnwritten, kWritten } blocks;
    enum class Mapped { kNot, kReadable, kDirty } mapped;
    bool is_one_process = false;  // which all threads are of; else each has a mapping of its own
};
const std::vector<Scene>& scenes();

struct Action {
    const char* name;
    void (*run)(World& world, unsigned who);
    bool is_for_huge, is_for_small, is_for_three;
};
const std::vector<Action>& actions();

// The device of a scene, with everything unmounted: worlds begin there, one at a time.
class Stage {
  public:
    explicit Stage(const Scene& scene);

    const Scene scene;
    TestDevice device;
    std::unique_ptr<PersistModel> durable;
    std::vector<std::byte> base;
};

class World {
  public:
    World(Stage& stage, unsigned threads);
    ~World();

    // What a thread may do, in the words of its system calls. Each notes itself in the history, and throws a
    // Violation for a result that cannot be.
    void load(unsigned who, u64 offset);
    void store(unsigned who, u64 offset);
    void write(unsigned who, u64 offset, u64 length);
    void truncate(u64 size);
    void punch(u64 offset, u64 length);
    void zero(u64 offset, u64 length);
    void allocate(u64 offset, u64 length);
    void insert(u64 offset, u64 length);
    void collapse(u64 offset, u64 length);
    void fsync(unsigned who);
    void fsync_block(unsigned who, u64 block);
    void pin_and_store(unsigned who, u64 offset);
    void pin_and_load(unsigned who, u64 offset);
    void store_private(unsigned who, u64 offset);
    void unmap(unsigned who);
    void fork_and_store(unsigned who, u64 offset);
    void reclaim();
    void write_other(unsigned who);
    void use_small_faults(unsigned who);
    u64 size_of_scene() const;

    // After all threads: throws a Violation.
    void check();
    std::string text() const { return history_.text(); }

  private:
    struct Stored {
        u64 pfn, offset, word, value;
        usize event;
    };
    static constexpr u64 kWatchedBlocks = 2;
    struct Visits {
        u64 first, last;  // blocks of the range
        bool has_begun = false;
        bool was_dirty[kWatchedBlocks] = {};
    };
    void prepare();
    std::shared_ptr<FakeMapping> make_mapping();
    void sync_blocks(unsigned who, u64 first, u64 last);
    void clear(tarn_fallocate_kind kind, u64 offset, u64 length);
    void shift(tarn_fallocate_kind kind, u64 offset, u64 length);
    void wait_for_pins();
    void note_zap(u64 block, u64 count);
    void expect(bool holds, const std::string& what) const;
    void expect_mine(u64 pfn, u64 block, const char* what);
    void note_store(unsigned who, u64 offset, u64 value);
    void fault_failed(int error) const;
    u64 value_for(unsigned who);
    void check_promise(u64 began, u64 first, u64 last);
    bool may_hold(const Stored& stored, u64 value) const;
    void check_pages(u64 size);
    void check_words(u64 size);
    void check_durable(u64 size);
    u64 word_at(u64 offset);

    Stage& stage_;
    FakeMm mm_;
    FakeFs fs_;
    std::unique_ptr<FakeFile> file_, other_;
    std::vector<std::shared_ptr<FakeMapping>> mappings_;  // by thread
    std::vector<std::shared_ptr<FakeMapping>> children_;  // of fork
    History history_;
    std::vector<Stored> stores_;
    u64 pfn_of_last_store_ = 0, offset_of_last_store_ = 0;
    u64 values_ = 0;
    bool may_be_cut_ = false;
    std::optional<Visits> syncing_[kMostThreads];
};

}  // namespace tarn::test
