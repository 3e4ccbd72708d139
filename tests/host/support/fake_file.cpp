// SPDX-License-Identifier: GPL-2.0
// FakeFs and FakeFile (fake_mm.hpp): what the glue does for mounts and files, with the VFS's locks.
#include <cerrno>
#include <stdexcept>

#include "cxxrt/mutant.hpp"
#include "fs/inode/inode.hpp"
#include "tests/host/support/fake_mm.hpp"
#include "tests/host/support/volume.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

[[noreturn]] void fail(const std::string& what, long long error)
{
    throw std::runtime_error(what + ": errno " + std::to_string(-error));
}

tarn_name spelled(const std::string& name) { return {name.data(), static_cast<unsigned>(name.size())}; }

}  // namespace

namespace tarn::test {

FakeFs::FakeFs(TestDevice& device, How how)
{
    if (how == How::kFormat)
        format_device(device);
    const char* why = "";
    if (int error = tarn_fs_open(&device.device(), TARN_READ_WRITE, &fs_, &why))
        fail(std::string("mount: ") + why, error);
    root_ = std::make_unique<tarn_inode>();
    tarn_attributes attributes;
    if (int error = tarn_inode_open(fs_, TARN_ROOT_INODE, root_.get(), &attributes))
        fail("root", error);
}

FakeFs::~FakeFs()
{
    tarn_inode_close(root_.get());
    tarn_fs_close(fs_);
}

std::unique_ptr<FakeFile> FakeFs::create(FakeMm&, const std::string& name)
{
    auto file = std::make_unique<FakeFile>();
    tarn_new_inode what = {};
    what.mode = 0100644;
    what.now.seconds = 1700000001;
    tarn_attributes attributes;
    if (int error = file->create(root_.get(), name, what, &attributes))
        fail("create " + name, error);
    return file;
}

std::unique_ptr<FakeFile> FakeFs::open(FakeMm&, const std::string& name)
{
    unsigned long long number = 0;
    if (int error = tarn_dir_find(root_.get(), spelled(name), &number))
        fail("open " + name, error);
    auto file = std::make_unique<FakeFile>();
    tarn_attributes attributes;
    if (int error = file->open(fs_, number, &attributes))
        fail("inode of " + name, error);
    return file;
}

void FakeFs::unlink(const std::string& name, FakeFile& file)
{
    if (int error = tarn_dir_unlink(root_.get(), spelled(name), file.inode(), {1700000002, 0}))
        fail("unlink " + name, error);
    file.discard();
}

u64 FakeFs::free_blocks()
{
    tarn_statistics statistics;
    tarn_fs_statistics(fs_, &statistics);
    return statistics.free;
}

int FakeFile::open(tarn_fs* fs, u64 number, tarn_attributes* attributes)
{
    const int error = tarn_inode_open(fs, number, &inode_, attributes);
    mode_ = error ? 0 : attributes->mode;
    return error;
}

int FakeFile::create(tarn_inode* dir, const std::string& name, const tarn_new_inode& what, tarn_attributes* attributes)
{
    const int error = tarn_dir_create(dir, spelled(name), &what, &inode_, attributes);
    mode_ = error ? 0 : attributes->mode;
    return error;
}

int FakeFile::create_nameless(tarn_inode* dir, const tarn_new_inode& what, tarn_attributes* attributes)
{
    const int error = tarn_dir_create_nameless(dir, &what, &inode_, attributes);
    mode_ = error ? 0 : attributes->mode;
    return error;
}

FakeFile::~FakeFile()
{
    if (mode_ == 0)
        return;
    if ((mode_ & kTypeMask) == kTypeRegular)
        tarn_file_evict(&inode_, discard_ ? TARN_EVICT_DISCARD : TARN_EVICT_KEEP);
    if (discard_)
        tarn_inode_free(&inode_);
    else
        tarn_inode_close(&inode_);
}

long long FakeFile::write(u64 offset, tarn_user& from, u64 length)
{
    std::unique_lock guard(i_rwsem_);
    tarn_write write = {};
    write.offset = offset;
    write.length = length;
    write.from = &from;
    write.times.modify = write.times.change = now;
    long long done = 0, wrote = 0;
    int idle = 0;  // rounds without a byte
    while (write.length && wrote >= 0) {
        u64 wanted = min<u64>(write.length, TARN_WRITE_STEP);
        wrote = from.fault_in(wanted) == wanted ? -EFAULT : tarn_file_write(&inode_, &write);
        idle = wrote ? 0 : idle + 1;
        if (idle == 100)
            throw std::runtime_error("a write that never ends");
        if (wrote > 0) {
            write.offset += static_cast<u64>(wrote);
            write.length -= static_cast<u64>(wrote);
            done += wrote;
        }
    }
    if (int error = tarn_file_write_end(&inode_, &write))
        return error;
    return done ? done : wrote;
}

long long FakeFile::write(u64 offset, const std::string& bytes)
{
    std::vector<std::byte> copy(reinterpret_cast<const std::byte*>(bytes.data()),
                                reinterpret_cast<const std::byte*>(bytes.data()) + bytes.size());
    tarn_user from;
    from.data = copy.data();
    from.length = copy.size();
    return write(offset, from, bytes.size());
}

long long FakeFile::read(u64 offset, tarn_user& to, u64 length)
{
    std::shared_lock guard(i_rwsem_);
    return tarn_file_read(&inode_, offset, length, &to);
}

std::string FakeFile::read(u64 offset, u64 length)
{
    std::string bytes(length, '\xff');
    tarn_user to;
    to.data = reinterpret_cast<std::byte*>(bytes.data());
    to.length = length;
    long long got = read(offset, to, length);
    if (got < 0)
        fail("read", got);
    bytes.resize(static_cast<u64>(got));
    return bytes;
}

int FakeFile::truncate(u64 size)
{
    std::unique_lock guard(i_rwsem_);
    std::unique_lock invalidate(invalidate_lock_, std::defer_lock);
    if (!mutant(Mutant::kCutUnlocked))
        invalidate.lock();
    if (size < this->size())
        tarn_mapper_zap(&inode_, divide_up(size, kBlockSize), ~0ull >> 12);
    tarn_times times = {};
    times.modify = times.change = now;
    return tarn_file_resize(&inode_, size, &times);
}

int FakeFile::fallocate(tarn_fallocate_kind kind, KeepSize keep, u64 offset, u64 length, u64 steps)
{
    std::unique_lock guard(i_rwsem_);
    std::unique_lock invalidate(invalidate_lock_, std::defer_lock);
    if (kind != TARN_FALLOCATE_KEEP && !mutant(Mutant::kCutUnlocked))
        invalidate.lock();
    if (kind == TARN_FALLOCATE_COLLAPSE || kind == TARN_FALLOCATE_INSERT)
        tarn_mapper_zap(&inode_, offset / kBlockSize, ~0ull >> 12);
    tarn_fallocate request = {};
    request.offset = offset;
    request.length = length;
    request.kind = kind;
    request.keep_size = keep == KeepSize::kYes;
    request.times.modify = request.times.change = now;
    int more = 1;
    while (more > 0 && steps-- > 0)
        more = tarn_file_fallocate(&inode_, &request);
    return more;
}

int FakeFile::fault(tarn_fault& fault, const tarn_fault_request& request)
{
    std::shared_lock invalidate(invalidate_lock_);
    return tarn_file_fault(&inode_, &fault, &request);
}

int FakeFile::fault_huge(tarn_fault& fault, const tarn_fault_request& request)
{
    std::shared_lock invalidate(invalidate_lock_);
    return tarn_file_fault_huge(&inode_, &fault, &request);
}

u64 FakeFile::blocks()
{
    tarn_attributes attributes;
    tarn_inode_attributes(&inode_, &attributes);
    return attributes.blocks;
}

}  // namespace tarn::test
