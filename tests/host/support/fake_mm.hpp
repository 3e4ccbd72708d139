// SPDX-License-Identifier: GPL-2.0
// FakeMm: page tables, pins and user memory in user space, for driving faults, writes, syncs and truncations of the real
// core from tests; and FakeFile, which does what the glue does: takes the VFS's locks and calls the C ABI.
//
// A store or load through a FakeMapping is one step against zapping and installing, as on a machine whose zap returns
// only when no CPU has the translation any more. Several threads may use everything here at once.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "fs/file_core.h"
#include "tests/host/support/device.hpp"

namespace tarn::test {

class FakeMapping;
class FakeFile;

// A lock of the VFS, for the guards of the standard library. Waits as the locks of the runtime do.
class VfsLock {
  public:
    void lock()
    {
        acquire([this] { return lock_.try_lock(); }, [this] { lock_.lock(); });
    }
    void unlock()
    {
        lock_.unlock();
        host::note_step(host::Step::kRelease, this, "VFS");
    }
    void lock_shared()
    {
        acquire([this] { return lock_.try_lock_shared(); }, [this] { lock_.lock_shared(); });
    }
    void unlock_shared()
    {
        lock_.unlock_shared();
        host::note_step(host::Step::kRelease, this, "VFS");
    }

  private:
    template <class Try, class Take>
    void acquire(Try try_take, Take take)
    {
        if (!host::has_turns())
            return take();
        host::note_step(host::Step::kTake, this, "VFS");
        while (!try_take())
            host::wait_turn(this);
    }

    std::shared_mutex lock_;
};

class FakeMm {
  public:
    // One at a time: the core finds it through the mapper's functions.
    explicit FakeMm(TestDevice& device);
    ~FakeMm();
    FakeMm(const FakeMm&) = delete;
    FakeMm& operator=(const FakeMm&) = delete;

    // References beside our own: as of DMA.
    void pin(u64 pfn);
    void unpin(u64 pfn);
    u64 pins() const { return pins_.load_relaxed(); }
    // What tarn_mapper_attach has been told; each page belongs to one block of one file at most.
    struct Owner {
        tarn_inode* inode;
        u64 block;
    };
    std::optional<Owner> owner(u64 pfn);
    bool is_marked_dirty(tarn_inode* inode);
    // From now on a page may back several blocks, as damaged media may say; the kernel does not look at that either.
    void allow_shared_pages() { shares_pages_ = true; }
    // From now on there is no 2 MiB of zeroes.
    void fail_huge_zero() { has_huge_zero_ = false; }
    // The next `count` installations find no memory.
    void fail_installs(int count) { failing_installs_ = count; }
    // Called at the beginning of a zap or an install, entry locks held: to let something happen at that moment.
    std::function<void(const char* what)> hook;
    // Called with the blocks when a zap begins.
    std::function<void(u64 block, u64 count)> zapping;
    // Called when something has been stored into a page without the core.
    std::function<void(u64 pfn, u64 offset, u64 length)> stored;
    // Somebody who has the page pinned stores into it.
    void store_pinned(u64 pfn, u64 offset, const void* data, u64 length);

    u64 zaps() const { return zaps_.load_relaxed(); }
    u64 installs() const { return installs_.load_relaxed(); }
    TestDevice& device() { return device_; }
    std::byte* page(u64 pfn) { return device_.block(pfn - device_.device().first_pfn); }

  private:
    friend class FakeMapping;
    friend struct MapperBackend;
    struct Pte {
        u64 pfn = 0;
        bool writable = false;
        bool zero = false;
    };
    // A step that other threads may see: told to who schedules them, then to the hook.
    void step(const char* what);

    TestDevice& device_;
    std::mutex lock_;  // page tables and everything below
    std::set<FakeMapping*> mappings_;
    std::map<u64, Owner> owners_;
    std::set<tarn_inode*> dirty_;
    int failing_installs_ = 0;
    bool shares_pages_ = false;
    bool has_huge_zero_ = true;
    Atomic<u64> zaps_{0}, installs_{0}, pins_{0};
};

// While it lives another FakeMm may be made: for looking at an image in the middle of a test.
class MmPause {
  public:
    MmPause();
    ~MmPause();

  private:
    FakeMm* const paused_;
};

// A shared mapping of a whole file in one process.
class FakeMapping {
  public:
    FakeMapping(FakeMm& mm, FakeFile& file);
    ~FakeMapping();  // as munmap: PTEs go, nobody is told
    FakeMapping(const FakeMapping&) = delete;
    FakeMapping& operator=(const FakeMapping&) = delete;

    // Like CPU instructions, within one block: 0, or the errno of a fault that could not be served.
    int store(u64 offset, const void* data, u64 length);
    int load(u64 offset, void* data, u64 length);
    int store(u64 offset, char value) { return store(offset, &value, 1); }
    // The byte there; dies on a fault error.
    char at(u64 offset);
    // Only if the PTE allows it: false means that a fault would be needed.
    bool try_store(u64 offset, const void* data, u64 length);
    bool try_load(u64 offset, void* data, u64 length);

    int fault(u64 block, tarn_fault_kind kind);
    // How many blocks may be mapped along; the window is aligned. 1: none.
    void fault_around(u64 blocks) { around_ = blocks; }
    // Whether the mapping is aligned so that a PMD may serve a fault, where no PTE hangs in its place yet.
    void allow_huge() { may_be_huge_ = true; }
    // Faults so far.
    u64 faults() const { return faults_.load_relaxed(); }
    // Takes a reference to the block's page, as GUP does: faults until the PTE allows it. 0 or errno. The
    // zero page is nobody's: kZeroPage, not to be unpinned.
    static constexpr u64 kZeroPage = ~0ull;
    int pin(u64 block, tarn_fault_kind kind, u64* pfn);
    // What a store to a private mapping of the file does where it has mapped nothing: the fault lends a page,
    // pinned, which the kernel copies and unpins. 0 or errno; kZeroPage as above.
    int borrow(u64 block, u64* pfn);

    bool is_mapped(u64 block);
    bool is_writable(u64 block);
    bool is_zero_page(u64 block);
    bool is_huge(u64 block);  // mapped by a PMD
    // The pages mapped now, block by block.
    struct Page {
        u64 block, pfn;
        bool writable, zero;
    };
    std::vector<Page> pages();
    // munmap and mmap again: PTEs go, nobody is told.
    void unmap();
    // What fork does to a shared mapping: the child begins with the parent's PTEs.
    void copy_from(FakeMapping& parent);

  private:
    friend class FakeMm;
    friend struct MapperBackend;
    FakeMm& mm_;
    FakeFile& file_;
    std::optional<FakeMm::Pte> find(u64 block) const;  // what maps it, mm_.lock_ held
    bool fault_huge(u64 block, tarn_fault_kind kind, int* error);
    std::map<u64, FakeMm::Pte> ptes_;  // under mm_.lock_, and so are
    std::map<u64, FakeMm::Pte> pmds_;  // by block / 512; no PTE hangs below one
    bool may_be_huge_ = false;
    u64 around_ = 1;
    Atomic<u64> faults_{0};
};

}  // namespace tarn::test

// What the core calls a fault. Without a mapping the PTEs go nowhere.
struct tarn_fault {
    tarn::test::FakeMapping* mapping = nullptr;
    unsigned long long block = 0;  // for 2 MiB
    unsigned long long lent = 0;
};

// The caller's memory of a read or a write: bytes of the test, or a mapping.
struct tarn_user {
    std::byte* data = nullptr;
    unsigned long long length = 0;
    unsigned long long position = 0;
    // What can be read without a fault, from the beginning; fault_in moves it on by at most `fault_in_limit`.
    unsigned long long resident = ~0ull;
    unsigned long long fault_in_limit = ~0ull;
    unsigned long long readable = ~0ull;  // behind this nothing can ever be read or written
    tarn::test::FakeMapping* mapping = nullptr;
    unsigned long long mapping_offset = 0;

    // As fault_in_iov_iter_readable: how many of `wanted` bytes could not be faulted in.
    unsigned long long fault_in(unsigned long long wanted);
};

namespace tarn::test {

// A mounted file system on a device, and its files.
class FakeFs {
  public:
    // Formats the device first unless told to mount what is there.
    enum class How { kFormat, kMount };
    explicit FakeFs(TestDevice& device, How how = How::kFormat);
    ~FakeFs();
    FakeFs(const FakeFs&) = delete;
    FakeFs& operator=(const FakeFs&) = delete;

    tarn_fs* fs() { return fs_; }
    tarn_inode* root() { return root_.get(); }
    std::unique_ptr<FakeFile> create(FakeMm& mm, const std::string& name);
    std::unique_ptr<FakeFile> open(FakeMm& mm, const std::string& name);
    void unlink(const std::string& name, FakeFile& file);
    u64 free_blocks();
    // From now on nothing is stored, at the end neither.
    void abandon() { tarn_fs_abandon(fs_); }

  private:
    tarn_fs* fs_ = nullptr;
    std::unique_ptr<tarn_inode> root_;
};

class FakeFile {
  public:
    FakeFile() = default;
    ~FakeFile();  // evicts
    FakeFile(const FakeFile&) = delete;
    FakeFile& operator=(const FakeFile&) = delete;

    // Once: the inode of that number, or a new one. Of any type. 0 or -errno.
    int open(tarn_fs* fs, u64 number, tarn_attributes* attributes);
    int create(tarn_inode* dir, const std::string& name, const tarn_new_inode& what, tarn_attributes* attributes);
    int create_nameless(tarn_inode* dir, const tarn_new_inode& what, tarn_attributes* attributes);
    // It has no name any more: freed at the end, unless it is kept as an orphan.
    void discard() { discard_ = true; }
    void keep() { discard_ = false; }

    tarn_inode* inode() { return &inode_; }
    // The time of what changes the file.
    tarn_time now{1700000003, 0};
    u64 size() { return tarn_file_size(&inode_); }
    // Bytes written or -errno.
    long long write(u64 offset, tarn_user& from, u64 length);
    long long write(u64 offset, const std::string& bytes);
    // Bytes read or -errno.
    long long read(u64 offset, tarn_user& to, u64 length);
    // Up to `length` bytes; dies on an error.
    std::string read(u64 offset, u64 length);
    std::string contents() { return read(0, size()); }
    int truncate(u64 size);
    // All steps of it, or as many as given: then 1 when there is more to do.
    enum class KeepSize { kNo, kYes };
    int fallocate(tarn_fallocate_kind kind, KeepSize keep, u64 offset, u64 length, u64 steps = ~0ull);
    int allocate(u64 offset, u64 length) { return fallocate(TARN_FALLOCATE_KEEP, KeepSize::kNo, offset, length); }
    int allocate_keeping_size(u64 offset, u64 length)
    {
        return fallocate(TARN_FALLOCATE_KEEP, KeepSize::kYes, offset, length);
    }
    int punch(u64 offset, u64 length) { return fallocate(TARN_FALLOCATE_PUNCH, KeepSize::kYes, offset, length); }
    int zero(u64 offset, u64 length, KeepSize keep = KeepSize::kNo)
    {
        return fallocate(TARN_FALLOCATE_ZERO, keep, offset, length);
    }
    int collapse(u64 offset, u64 length)
    {
        return fallocate(TARN_FALLOCATE_COLLAPSE, KeepSize::kNo, offset, length);
    }
    int insert(u64 offset, u64 length)
    {
        return fallocate(TARN_FALLOCATE_INSERT, KeepSize::kNo, offset, length);
    }
    // The offset, or -errno.
    long long seek(u64 offset, tarn_seek what) { return tarn_file_seek(&inode_, offset, what); }
    int sync() { return tarn_file_sync(&inode_, 0, ~0ull >> 1); }
    int sync(u64 first, u64 last) { return tarn_file_sync(&inode_, first, last); }
    int fault(tarn_fault& fault, const tarn_fault_request& request);
    int fault_huge(tarn_fault& fault, const tarn_fault_request& request);
    u64 blocks();

  private:
    VfsLock i_rwsem_;
    VfsLock invalidate_lock_;
    tarn_inode inode_;
    u32 mode_ = 0;  // 0: inode_ has not been opened or created
    bool discard_ = false;
};

}  // namespace tarn::test
