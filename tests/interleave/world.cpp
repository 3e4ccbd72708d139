// SPDX-License-Identifier: GPL-2.0
#include "tests/interleave/world.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fs/file/file.hpp"
#include "tests/host/support/volume.hpp"
#include "tests/interleave/scheduler.hpp"

namespace tarn::test {

namespace {

constexpr u64 kBlocksOfDevice = 4608;  // the journals, and two runs of 2 MiB
constexpr u64 kHugeBytes = TARN_HUGE_BLOCKS * kBlockSize;
constexpr u64 kFirstValue = 0x1111111111111111;
constexpr u64 kWords[] = {8, 2048, kBlockSize + 64};  // what is watched
constexpr u64 kOtherBytes = 2 * kBlockSize;
constexpr char kOther = 'o';

u64 length_of(const Scene& scene) { return scene.is_huge ? kHugeBytes : 2 * kBlockSize; }

}  // namespace

Stage::Stage(const Scene& of) : scene(of), device(kBlocksOfDevice)
{
    FakeMm mm(device);
    {
        FakeFs fs(device);
        auto file = fs.create(mm, "file");
        auto other = fs.create(mm, "other");
        const u64 length = length_of(scene);
        if (scene.blocks == Scene::Blocks::kHole)
            file->truncate(length);
        else
            file->allocate(0, length);
        if (scene.blocks == Scene::Blocks::kWritten)
            for (u64 at = 0; at < length; at += TARN_WRITE_STEP)
                file->write(
                    at, std::string(min<u64>(length - at, TARN_WRITE_STEP), static_cast<char>(kFirstValue)));
    }
    base = device.image();
    durable = std::make_unique<PersistModel>(
        device, [](void*) {}, nullptr);
}

World::World(Stage& stage, unsigned threads)
    : stage_(stage), mm_(stage.device), fs_(stage.device, FakeFs::How::kMount)
{
    file_ = fs_.open(mm_, "file");
    other_ = fs_.open(mm_, "other");
    mm_.stored = [this](u64 pfn, u64 offset, u64) {
        pfn_of_last_store_ = pfn;
        offset_of_last_store_ = offset;
        stage_.durable->touch(pfn - stage_.device.device().first_pfn);
    };
    mm_.zapping = [this](u64 block, u64 count) { note_zap(block, count); };
    for (unsigned who = 0; who < threads; who++) {
        if (who && stage.scene.is_one_process) {
            mappings_.push_back(mappings_[0]);
            continue;
        }
        mappings_.push_back(make_mapping());
    }
    prepare();
}

std::shared_ptr<FakeMapping> World::make_mapping()
{
    auto mapping = std::make_shared<FakeMapping>(mm_, *file_);
    mapping->fault_around(2);
    if (stage_.scene.is_huge)
        mapping->allow_huge();
    return mapping;
}

World::~World()
{
    mappings_.clear();
    children_.clear();
    file_.reset();
    other_.reset();
    fs_.abandon();
}

void World::prepare()
{
    const u64 first = stage_.scene.blocks == Scene::Blocks::kWritten ? kFirstValue : 0;
    history_.start(length_of(stage_.scene));
    for (u64 word : kWords)
        history_.held(word, first);
    if (stage_.scene.mapped == Scene::Mapped::kReadable)
        for (unsigned who = 0; who < mappings_.size(); who++)
            load(who, kWords[0]);
    if (stage_.scene.mapped == Scene::Mapped::kDirty)
        for (unsigned who = 0; who < mappings_.size(); who++)
            store(who, kWords[0]);
}

u64 World::size_of_scene() const { return length_of(stage_.scene); }

void World::expect(bool holds, const std::string& what) const
{
    if (!holds)
        throw Violation(what);
}

void World::expect_mine(u64 pfn, u64 block, const char* what)
{
    const auto owner = mm_.owner(pfn);
    expect(owner && owner->inode == file_->inode() && owner->block == block, what);
}

// ---- what threads do
// ----------------------------------------------------------------------------------------

u64 World::value_for(unsigned who) { return (who + 1) * 0x0101010101010101 + (++values_ << 60); }

void World::fault_failed(int error) const
{
    expect(error == -ENXIO && may_be_cut_, "a fault fails with " + std::to_string(error));
}

void World::load(unsigned who, u64 offset)
{
    u64 value = 0;
    if (int error = mappings_[who]->load(offset, &value, 8))
        return fault_failed(error);
    history_.note(Event::Kind::kSee, offset, offset + 8, value);
}

void World::store(unsigned who, u64 offset)
{
    const u64 value = value_for(who);
    if (int error = mappings_[who]->store(offset, &value, 8))
        return fault_failed(error);
    note_store(who, offset, value);
}

// Right behind the store: nothing has come between.
void World::note_store(unsigned, u64 offset, u64 value)
{
    expect_mine(pfn_of_last_store_, offset / kBlockSize, "a store to a page that is not the file's");
    history_.note(Event::Kind::kStore, offset, offset + 8, value);
    stores_.push_back(
        {pfn_of_last_store_, offset_of_last_store_, offset, value, history_.events().size() - 1});
}

void World::write(unsigned who, u64 offset, u64 length)
{
    const u64 value = value_for(who);
    std::string bytes(length, ' ');
    for (u64 at = 0; at < length; at += 8)
        std::memcpy(bytes.data() + at, &value, 8);
    const usize event = history_.begin(Event::Kind::kWrite, offset, offset + length, value);
    const long long wrote = file_->write(offset, bytes);
    history_.end(event);
    expect(wrote == static_cast<long long>(length), "write(2) returns " + std::to_string(wrote));
}

// The glue comes back for as long as a page is pinned.
void World::truncate(u64 size)
{
    may_be_cut_ = true;
    const usize event = history_.begin(Event::Kind::kCut, 0, size);
    int error = 0;
    while ((error = file_->truncate(size)) == -EBUSY) {
        expect(size == 0, "truncation waits for a pin on a page that stays");
        wait_for_pins();
    }
    history_.end(event);
    expect(error == 0, "truncation returns " + std::to_string(error));
}

void World::wait_for_pins()
{
    Scheduler::wait_until([this] { return mm_.pins() == 0; });
}

void World::clear(tarn_fallocate_kind kind, u64 offset, u64 length)
{
    const usize event = history_.begin(Event::Kind::kClear, offset, offset + length);
    int error = 0;
    while ((error = file_->fallocate(kind, FakeFile::KeepSize::kYes, offset, length)) == -EBUSY)
        wait_for_pins();
    history_.end(event);
    expect(error == 0, "punching or zeroing returns " + std::to_string(error));
}

void World::punch(u64 offset, u64 length) { clear(TARN_FALLOCATE_PUNCH, offset, length); }
void World::zero(u64 offset, u64 length) { clear(TARN_FALLOCATE_ZERO, offset, length); }

void World::allocate(u64 offset, u64 length)
{
    const int error = file_->allocate_keeping_size(offset, length);
    expect(error == 0, "fallocate returns " + std::to_string(error));
}

// Refused where truncation has left too little.
void World::shift(tarn_fallocate_kind kind, u64 offset, u64 length)
{
    const bool inserts = kind == TARN_FALLOCATE_INSERT;
    const auto what = inserts ? Event::Kind::kInsert : Event::Kind::kCollapse;
    const usize event = history_.begin(what, offset, offset + length);
    int error = 0;
    while ((error = file_->fallocate(kind, FakeFile::KeepSize::kNo, offset, length)) == -EBUSY)
        wait_for_pins();
    if (error == -EINVAL && may_be_cut_)
        return history_.end_undone(event);
    history_.end(event);
    expect(error == 0, "inserting or collapsing returns " + std::to_string(error));
}

void World::insert(u64 offset, u64 length) { shift(TARN_FALLOCATE_INSERT, offset, length); }
void World::collapse(u64 offset, u64 length)
{
    may_be_cut_ = true;
    shift(TARN_FALLOCATE_COLLAPSE, offset, length);
}

void World::fsync(unsigned who) { sync_blocks(who, 0, kLastFileBlock.value); }
void World::fsync_block(unsigned who, u64 block) { sync_blocks(who, block, block); }

void World::sync_blocks(unsigned who, u64 first, u64 last)
{
    const u64 began = history_.clock();
    syncing_[who] = Visits{first, last};
    const int error = file_->sync(first * kBlockSize, last * kBlockSize + kBlockSize - 1);
    syncing_[who].reset();
    expect(error == 0, "fsync returns " + std::to_string(error));
    check_promise(began, first, last);
}

// What an fsync visits must have been dirty when it came to the first of it, and lie in its range, or be of
// 2 MiB.
void World::note_zap(u64 block, u64 count)
{
    const unsigned who = Scheduler::current();
    if (who >= kMostThreads || !syncing_[who])
        return;
    const DirtyTracker& tracker = InodeObject::of(file_->inode()).tracker;
    Visits& visits = *syncing_[who];
    for (u64 i = 0; !visits.has_begun && i < kWatchedBlocks; i++)
        visits.was_dirty[i] = tracker.has_tag(FileBlock(i), DirtyTracker::Tag::kDirty);
    visits.has_begun = true;
    const bool is_huge = count == TARN_HUGE_BLOCKS;
    expect(is_huge || (block >= visits.first && block + count - 1 <= visits.last),
           "fsync visits a page outside of its range");
    for (u64 i = block; i < std::min(block + count, kWatchedBlocks); i++)
        expect(visits.was_dirty[i], "fsync visits a page that became dirty after it began");
}

void World::pin_and_store(unsigned who, u64 offset)
{
    u64 pfn = 0;
    if (int error = mappings_[who]->pin(offset / kBlockSize, TARN_FAULT_WRITE, &pfn))
        return fault_failed(error);
    const u64 value = value_for(who);
    mm_.store_pinned(pfn, offset % kBlockSize, &value, 8);
    expect_mine(pfn, offset / kBlockSize, "a pinned page is the file's no longer");
    note_store(who, offset, value);
    mm_.unpin(pfn);
}

void World::pin_and_load(unsigned who, u64 offset)
{
    u64 pfn = 0;
    if (int error = mappings_[who]->pin(offset / kBlockSize, TARN_FAULT_READ, &pfn))
        return fault_failed(error);
    if (pfn == FakeMapping::kZeroPage)
        return;
    Scheduler::step("load through a pin");
    expect_mine(pfn, offset / kBlockSize, "a pinned page is the file's no longer");
    mm_.unpin(pfn);
}

// What the kernel copies is what a load would see.
void World::store_private(unsigned who, u64 offset)
{
    u64 pfn = 0, value = 0;
    if (int error = mappings_[who]->borrow(offset / kBlockSize, &pfn))
        return fault_failed(error);
    if (pfn == FakeMapping::kZeroPage)
        return;
    Scheduler::step("copy");
    expect_mine(pfn, offset / kBlockSize, "a lent page is the file's no longer");
    std::memcpy(&value, mm_.page(pfn) + offset % kBlockSize, 8);
    history_.note(Event::Kind::kSee, offset, offset + 8, value);
    mm_.unpin(pfn);
}

void World::unmap(unsigned who)
{
    mappings_[who]->unmap();
    tarn_file_trim(file_->inode());
}

// The child begins with the parent's PTEs.
void World::fork_and_store(unsigned who, u64 offset)
{
    auto child = make_mapping();
    child->copy_from(*mappings_[who]);
    children_.push_back(child);
    const u64 value = value_for(who);
    if (int error = child->store(offset, &value, 8))
        return fault_failed(error);
    note_store(who, offset, value);
}

void World::reclaim()
{
    constexpr u64 kAll = 1 << 20;
    tarn_fs_reclaim(fs_.fs(), kAll);
}

void World::write_other(unsigned)
{
    const long long wrote = other_->write(0, std::string(kOtherBytes, kOther));
    expect(wrote == static_cast<long long>(kOtherBytes),
           "write(2) of another file returns " + std::to_string(wrote));
}

void World::use_small_faults(unsigned who) { mappings_[who] = std::make_shared<FakeMapping>(mm_, *file_); }

// ---- what must hold
// -----------------------------------------------------------------------------------------

// The word may hold this: it was stored by this store, or by something that this store was not over before.
bool World::may_hold(const Stored& stored, u64 value) const
{
    if (value == stored.value)
        return true;
    const Event& mine = history_.events()[stored.event];
    for (const Event& event : history_.events()) {
        const bool counts = !event.is_over_before(mine) && event.touches(stored.word);
        if (!counts || event.kind == Event::Kind::kSee)
            continue;
        if (event.has_no_value() || event.value == value)
            return true;
    }
    return false;
}

// Of what had been stored through mappings by then.
void World::check_promise(u64 began, u64 first, u64 last)
{
    for (const Stored& stored : stores_) {
        const u64 place = stored.word / kBlockSize;
        if (history_.events()[stored.event].end > began || place < first || place > last)
            continue;
        u64 durable;
        const u64 block = stored.pfn - stage_.device.device().first_pfn;
        std::memcpy(&durable, stage_.durable->least().data() + block * kBlockSize + stored.offset, 8);
        if (!may_hold(stored, durable))
            throw Violation("after fsync a store at " + std::to_string(stored.word) + " is not durable");
    }
}

u64 World::word_at(u64 offset)
{
    const std::string bytes = file_->read(offset, 8);
    u64 value = 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
}

// Nobody has anything locked, so the tracker may be asked.
void World::check_pages(u64 size)
{
    const DirtyTracker& tracker = InodeObject::of(file_->inode()).tracker;
    for (const auto& mapping : mappings_)
        for (const FakeMapping::Page& page : mapping->pages()) {
            expect(page.block < divide_up(size, kBlockSize), "a page behind the end is mapped");
            if (page.zero)
                continue;
            expect_mine(page.pfn, page.block, "a page that is not the file's is mapped");
            expect(!page.writable || tracker.has_tag(FileBlock(page.block), DirtyTracker::Tag::kDirty),
                   "a page is writable, and not tagged dirty");
        }
}

void World::check_words(u64 size)
{
    for (u64 word : kWords) {
        if (word >= size)
            continue;
        const u64 value = word_at(word);
        history_.note(Event::Kind::kSee, word, word + 8, value);
        for (const auto& mapping : mappings_) {
            u64 seen = 0;
            if (mapping->try_load(word, &seen, 8))
                history_.note(Event::Kind::kSee, word, word + 8, seen);
        }
    }
    const std::string unexplained = history_.unexplained(size);
    expect(unexplained.empty(), "what is in the file, or was seen, has no order:" + unexplained);
    if (other_->size())
        expect(other_->contents() == std::string(kOtherBytes, kOther), "another file has changed");
}

// One more fsync makes everything durable and clean, and nothing is left of entries then.
void World::check_durable(u64 size)
{
    const DirtyTracker& tracker = InodeObject::of(file_->inode()).tracker;
    fsync(0);
    expect(tracker.numbers().dirty == 0, "after fsync something is still dirty");
    FakeMapping look(mm_, *file_);
    for (u64 word : kWords) {
        u64 value = 0, durable = 0;
        if (word >= size)
            continue;
        expect(look.load(word, &value, 8) == 0, "a word cannot be read");
        for (const FakeMapping::Page& page : look.pages()) {
            if (page.block != word / kBlockSize || page.zero)
                continue;
            const u64 block = page.pfn - stage_.device.device().first_pfn;
            std::memcpy(&durable, stage_.durable->least().data() + block * kBlockSize + word % kBlockSize, 8);
        }
        expect(value == durable, "after fsync the word at " + std::to_string(word) + " is not durable");
    }
    look.unmap();
    for (const auto& mapping : mappings_)
        mapping->unmap();
    tarn_file_trim(file_->inode());
    expect(tracker.numbers().entries == 0, "entries are left that nobody needs");
}

void World::check()
{
    mappings_.insert(mappings_.end(), children_.begin(), children_.end());
    const u64 size = file_->size();
    check_pages(size);
    check_words(size);
    check_durable(size);
}

}  // namespace tarn::test
