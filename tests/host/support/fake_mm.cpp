// SPDX-License-Identifier: GPL-2.0
#include "tests/host/support/fake_mm.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "cxxrt/mutant.hpp"
#include "fs/inode/inode.hpp"
#include "fs/trace.h"
#include "tests/host/support/volume.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

FakeMm* current_mm = nullptr;

FakeMm& mm()
{
    if (!current_mm)
        throw std::logic_error("the core maps pages, but there is no FakeMm");
    return *current_mm;
}

}  // namespace

namespace tarn::test {

// ---- page tables --------------------------------------------------------------------------------------------

FakeMm::FakeMm(TestDevice& device) : device_(device)
{
    if (current_mm)
        throw std::logic_error("two FakeMm at once");
    current_mm = this;
}

FakeMm::~FakeMm() { current_mm = nullptr; }

MmPause::MmPause() : paused_(current_mm) { current_mm = nullptr; }
MmPause::~MmPause() { current_mm = paused_; }

void FakeMm::pin(u64 pfn)
{
    device_.pin(pfn - device_.device().first_pfn);
    pins_.fetch_add(1);
}

void FakeMm::unpin(u64 pfn)
{
    host::note_step(host::Step::kOther, nullptr, "unpin");
    device_.unpin(pfn - device_.device().first_pfn);
    pins_.fetch_sub(1);
}

void FakeMm::step(const char* what)
{
    host::note_step(host::Step::kOther, nullptr, what);
    if (hook)
        hook(what);
}

void FakeMm::store_pinned(u64 pfn, u64 offset, const void* data, u64 length)
{
    host::note_step(host::Step::kOther, nullptr, "store through a pin");
    std::memcpy(page(pfn) + offset, data, length);
    if (stored)
        stored(pfn, offset, length);
}

std::optional<FakeMm::Owner> FakeMm::owner(u64 pfn)
{
    std::lock_guard guard(lock_);
    auto found = owners_.find(pfn);
    return found == owners_.end() ? std::nullopt : std::optional(found->second);
}

bool FakeMm::is_marked_dirty(tarn_inode* inode)
{
    std::lock_guard guard(lock_);
    return dirty_.count(inode) != 0;
}

FakeMapping::FakeMapping(FakeMm& mm, FakeFile& file) : mm_(mm), file_(file)
{
    std::lock_guard guard(mm_.lock_);
    mm_.mappings_.insert(this);
}

FakeMapping::~FakeMapping()
{
    std::lock_guard guard(mm_.lock_);
    mm_.mappings_.erase(this);
}

std::optional<FakeMm::Pte> FakeMapping::find(u64 block) const
{
    if (auto pte = ptes_.find(block); pte != ptes_.end())
        return pte->second;
    auto pmd = pmds_.find(block / TARN_HUGE_BLOCKS);
    if (pmd == pmds_.end())
        return std::nullopt;
    FakeMm::Pte part = pmd->second;
    part.pfn += block % TARN_HUGE_BLOCKS;
    return part;
}

bool FakeMapping::try_store(u64 offset, const void* data, u64 length)
{
    host::note_step(host::Step::kOther, nullptr, "store");
    std::lock_guard guard(mm_.lock_);
    auto pte = find(offset / kBlockSize);
    if (!pte || !pte->writable)
        return false;
    std::memcpy(mm_.page(pte->pfn) + offset % kBlockSize, data, length);
    if (mm_.stored)
        mm_.stored(pte->pfn, offset % kBlockSize, length);
    return true;
}

bool FakeMapping::try_load(u64 offset, void* data, u64 length)
{
    host::note_step(host::Step::kOther, nullptr, "load");
    std::lock_guard guard(mm_.lock_);
    auto pte = find(offset / kBlockSize);
    if (!pte)
        return false;
    if (pte->zero)
        std::memset(data, 0, length);
    else
        std::memcpy(data, mm_.page(pte->pfn) + offset % kBlockSize, length);
    return true;
}

int FakeMapping::store(u64 offset, const void* data, u64 length)
{
    while (!try_store(offset, data, length))
        if (int error = fault(offset / kBlockSize, TARN_FAULT_WRITE))
            return error;
    return 0;
}

int FakeMapping::load(u64 offset, void* data, u64 length)
{
    while (!try_load(offset, data, length))
        if (int error = fault(offset / kBlockSize, TARN_FAULT_READ))
            return error;
    return 0;
}

char FakeMapping::at(u64 offset)
{
    char value = 0;
    if (int error = load(offset, &value, 1))
        throw std::runtime_error("load: errno " + std::to_string(-error));
    return value;
}

int FakeMapping::fault(u64 block, tarn_fault_kind kind)
{
    faults_.fetch_add(1);
    int error = 0;
    if (may_be_huge_ && fault_huge(block, kind, &error))
        return error;
    tarn_fault fault{this};
    const u64 first = round_down(block, around_);
    return file_.fault(fault, {block, first, first + around_, kind});
}

// As the kernel does: a PMD is tried where no page table is; one that cannot serve goes, and PTEs take its
// place.
bool FakeMapping::fault_huge(u64 block, tarn_fault_kind kind, int* error)
{
    const u64 first = round_down(block, TARN_HUGE_BLOCKS);
    {
        std::lock_guard guard(mm_.lock_);
        auto pte = ptes_.lower_bound(first);
        if (pte != ptes_.end() && pte->first < first + TARN_HUGE_BLOCKS)
            return false;
    }
    tarn_fault fault{this, first};
    *error = file_.fault_huge(fault, {first, 0, 0, kind});
    if (*error <= 0)
        return true;
    std::lock_guard guard(mm_.lock_);
    pmds_.erase(first / TARN_HUGE_BLOCKS);
    return false;
}

int FakeMapping::pin(u64 block, tarn_fault_kind kind, u64* pfn)
{
    for (;;) {
        {
            host::note_step(host::Step::kOther, nullptr, "pin");
            std::lock_guard guard(mm_.lock_);
            auto pte = find(block);
            if (pte && pte->zero && kind == TARN_FAULT_READ) {
                *pfn = kZeroPage;
                return 0;
            }
            if (pte && !pte->zero && (kind == TARN_FAULT_READ || pte->writable)) {
                *pfn = pte->pfn;
                mm_.pin(*pfn);
                return 0;
            }
        }
        if (int error = fault(block, kind))
            return error;
    }
}

int FakeMapping::borrow(u64 block, u64* pfn)
{
    faults_.fetch_add(1);
    tarn_fault fault{this};
    if (int error = file_.fault(fault, {block, block, block + 1, TARN_FAULT_COPY}))
        return error;
    *pfn = fault.lent;
    return 0;
}

bool FakeMapping::is_mapped(u64 block)
{
    std::lock_guard guard(mm_.lock_);
    return find(block).has_value();
}

bool FakeMapping::is_writable(u64 block)
{
    std::lock_guard guard(mm_.lock_);
    auto pte = find(block);
    return pte && pte->writable;
}

bool FakeMapping::is_zero_page(u64 block)
{
    std::lock_guard guard(mm_.lock_);
    auto pte = find(block);
    return pte && pte->zero;
}

bool FakeMapping::is_huge(u64 block)
{
    std::lock_guard guard(mm_.lock_);
    return pmds_.count(block / TARN_HUGE_BLOCKS) != 0;
}

std::vector<FakeMapping::Page> FakeMapping::pages()
{
    std::lock_guard guard(mm_.lock_);
    std::vector<Page> pages;
    for (const auto& [block, pte] : ptes_)
        pages.push_back({block, pte.pfn, pte.writable, pte.zero});
    for (const auto& [huge, pmd] : pmds_)
        for (u64 i = 0; i < TARN_HUGE_BLOCKS; i++)
            pages.push_back(
                {huge * TARN_HUGE_BLOCKS + i, pmd.zero ? 0 : pmd.pfn + i, pmd.writable, pmd.zero});
    return pages;
}

void FakeMapping::unmap()
{
    host::note_step(host::Step::kOther, nullptr, "munmap");
    std::lock_guard guard(mm_.lock_);
    ptes_.clear();
    pmds_.clear();
}

void FakeMapping::copy_from(FakeMapping& parent)
{
    host::note_step(host::Step::kOther, nullptr, "fork");
    std::lock_guard guard(mm_.lock_);
    ptes_ = parent.ptes_;
    pmds_ = parent.pmds_;
}

// What the C functions below do, with access to the private parts.
struct MapperBackend {
    static int install(tarn_fault& fault, u64 block, u64 count, FakeMm::Pte wanted)
    {
        mm().step("install");
        std::lock_guard guard(mm().lock_);
        if (mm().failing_installs_ > 0) {
            mm().failing_installs_--;
            return -ENOMEM;
        }
        mm().installs_.fetch_add(1);
        if (!fault.mapping)
            return 0;
        if (fault.mapping->pmds_.count(block / TARN_HUGE_BLOCKS))
            return 0;  // the next fault sees it
        for (u64 i = 0; i < count; i++, wanted.pfn++) {
            FakeMm::Pte& there = fault.mapping->ptes_.try_emplace(block + i, wanted).first->second;
            if (there.zero != wanted.zero || (!wanted.zero && there.pfn != wanted.pfn)) {
                if (!wanted.zero)
                    return -EUCLEAN;
                continue;
            }
            there.writable |= wanted.writable;
        }
        return 0;
    }
    static int install_huge(tarn_fault& fault, FakeMm::Pte wanted)
    {
        mm().step("install");
        std::lock_guard guard(mm().lock_);
        if (mm().failing_installs_ > 0) {
            mm().failing_installs_--;
            return -ENOMEM;
        }
        if (wanted.zero && !mm().has_huge_zero_)
            return -ENOMEM;
        if (!wanted.zero && wanted.pfn % TARN_HUGE_BLOCKS)
            throw std::logic_error("a PMD for pages that are not aligned");
        mm().installs_.fetch_add(1);
        if (!fault.mapping)
            return 0;
        auto& ptes = fault.mapping->ptes_;
        if (auto pte = ptes.lower_bound(fault.block);
            pte != ptes.end() && pte->first < fault.block + TARN_HUGE_BLOCKS)
            return 0;
        FakeMm::Pte& there =
            fault.mapping->pmds_.try_emplace(fault.block / TARN_HUGE_BLOCKS, wanted).first->second;
        if (there.zero != wanted.zero || there.pfn != wanted.pfn)
            return wanted.writable ? -EUCLEAN : 0;
        there.writable |= wanted.writable;
        return 0;
    }
    static void zap(tarn_inode* inode, u64 block, u64 count)
    {
        mm().step("zap");
        if (mm().zapping)
            mm().zapping(block, count);
        std::lock_guard guard(mm().lock_);
        mm().zaps_.fetch_add(1);
        const u64 end = block + count < block ? ~0ull : block + count;
        for (FakeMapping* mapping : mm().mappings_)
            if (mapping->file_.inode() == inode) {
                auto& ptes = mapping->ptes_;
                auto& pmds = mapping->pmds_;
                ptes.erase(ptes.lower_bound(block), ptes.lower_bound(end));
                pmds.erase(pmds.lower_bound(block / TARN_HUGE_BLOCKS),
                           pmds.upper_bound((end - 1) / TARN_HUGE_BLOCKS));
            }
    }
    static bool is_pinned(u64 pfn, u64 count)
    {
        host::note_step(host::Step::kOther, nullptr, "is pinned?");
        for (; count; count--, pfn++)
            if (mm().device().is_pinned(pfn - mm().device().device().first_pfn))
                return true;
        return false;
    }
    static void lend(tarn_fault& fault, u64 pfn)
    {
        mm().step("lend");
        if (pfn != FakeMapping::kZeroPage)
            mm().pin(pfn);
        fault.lent = pfn;
    }
    static void attach(tarn_inode* inode, u64 block, u64 pfn, u64 count)
    {
        std::lock_guard guard(mm().lock_);
        for (; count; count--, block++, pfn++)
            if (!mm().owners_.emplace(pfn, FakeMm::Owner{inode, block}).second && !mm().shares_pages_)
                throw std::logic_error("a page backs two blocks");
    }
    static void detach(u64 pfn, u64 count)
    {
        std::lock_guard guard(mm().lock_);
        for (u64 i = 0; i < count; i++)
            if (!mm().owners_.erase(pfn + i) && !mm().shares_pages_)
                throw std::logic_error("a page is let go that was not held");
        auto meets = [&](const FakeMm::Pte& pte, u64 pages) {
            return !mm().shares_pages_ && !pte.zero && pte.pfn < pfn + count && pfn < pte.pfn + pages;
        };
        for (FakeMapping* mapping : mm().mappings_) {
            for (auto& [block, pte] : mapping->ptes_)
                if (meets(pte, 1))
                    throw std::logic_error("a page is let go while mapped");
            for (auto& [block, pmd] : mapping->pmds_)
                if (meets(pmd, TARN_HUGE_BLOCKS))
                    throw std::logic_error("a page is let go while mapped by a PMD");
        }
    }
    static void mark(tarn_inode* inode, bool dirty)
    {
        std::lock_guard guard(mm().lock_);
        if (dirty)
            mm().dirty_.insert(inode);
        else
            mm().dirty_.erase(inode);
    }
};

}  // namespace tarn::test

unsigned long long tarn_user::fault_in(unsigned long long wanted)
{
    if (mapping) {
        for (u64 at = mapping_offset + position; at < mapping_offset + position + wanted;
             at = round_down(at, kBlockSize) + kBlockSize) {
            char byte;
            if (mapping->load(at, &byte, 1))
                return at > mapping_offset + position ? mapping_offset + position + wanted - at : wanted;
        }
        return 0;
    }
    u64 end = min<u64>(position + wanted, readable);
    if (end <= position)
        return wanted;
    resident = max<u64>(resident, min<u64>(end, position + fault_in_limit));
    return position + wanted - end;
}

// ---- the C functions the core calls -------------------------------------------------------------------------

extern "C" {

int tarn_mapper_install(tarn_fault* fault, unsigned long long block, unsigned long long count,
                        unsigned long long pfn, tarn_protection protection)
{
    return MapperBackend::install(*fault, block, count, {pfn, protection == TARN_MAP_WRITE, false});
}
int tarn_mapper_install_zero(tarn_fault* fault, unsigned long long block, unsigned long long count)
{
    return MapperBackend::install(*fault, block, count, {0, false, true});
}
void tarn_mapper_lend(tarn_fault* fault, unsigned long long pfn) { MapperBackend::lend(*fault, pfn); }
void tarn_mapper_lend_zero(tarn_fault* fault) { MapperBackend::lend(*fault, FakeMapping::kZeroPage); }
void tarn_mapper_zap(tarn_inode* inode, unsigned long long block, unsigned long long count)
{
    MapperBackend::zap(inode, block, count);
}
int tarn_mapper_install_huge(tarn_fault* fault, unsigned long long pfn, tarn_protection protection)
{
    return MapperBackend::install_huge(*fault, {pfn, protection == TARN_MAP_WRITE, false});
}
int tarn_mapper_install_huge_zero(tarn_fault* fault)
{
    return MapperBackend::install_huge(*fault, {0, false, true});
}
int tarn_mapper_is_pinned(unsigned long long pfn, unsigned long long count)
{
    return MapperBackend::is_pinned(pfn, count);
}
void tarn_mapper_attach(tarn_inode* inode, unsigned long long block, unsigned long long pfn,
                        unsigned long long count)
{
    MapperBackend::attach(inode, block, pfn, count);
}
void tarn_mapper_detach(tarn_inode*, unsigned long long pfn, unsigned long long count)
{
    MapperBackend::detach(pfn, count);
}
void tarn_mapper_mark_dirty(tarn_inode* inode) { MapperBackend::mark(inode, true); }
void tarn_mapper_mark_clean(tarn_inode* inode) { MapperBackend::mark(inode, false); }
// Nobody traces.
void tarn_trace_write_back(tarn_inode*, unsigned long long, unsigned long long, unsigned long long, int) {}
void tarn_trace_split(tarn_inode*, unsigned long long, unsigned long long) {}

// As on the kernel: a copy that runs to its end leaves nothing in the cache, one that stops early has stored its last
// bytes through the cache.
tarn_size_t tarn_user_copy_in(const tarn_device* device, tarn_user* from, void* media, tarn_size_t length)
{
    u64 copied = 0;
    if (from->mapping) {
        std::byte chunk[kBlockSize];
        while (copied < length) {
            u64 at = from->mapping_offset + from->position;
            u64 piece = min<u64>(length - copied, kBlockSize - at % kBlockSize);
            if (!from->mapping->try_load(at, chunk, piece))
                break;
            tarn_persist_copy(device, static_cast<std::byte*>(media) + copied, chunk, piece);
            copied += piece;
            from->position += piece;
        }
        return copied;
    }
    u64 end = min<u64>(min<u64>(from->resident, from->readable), from->length);
    copied = from->position < end ? min<u64>(length, end - from->position) : 0;
    u64 streamed = copied == length || copied < 64 ? copied : round_down(copied - 64, 64);
    if (copied < length && copied < 64)
        streamed = 0;
    if (streamed)
        tarn_persist_copy(device, media, from->data + from->position, streamed);
    std::memcpy(static_cast<std::byte*>(media) + streamed, from->data + from->position + streamed, copied - streamed);
    from->position += copied;
    return copied;
}

static tarn_size_t copy_out(tarn_user* to, const void* media, tarn_size_t length)
{
    u64 end = min<u64>(to->length, to->readable);
    u64 copied = to->position < end ? min<u64>(length, end - to->position) : 0;
    if (media)
        std::memcpy(to->data + to->position, media, copied);
    else
        std::memset(to->data + to->position, 0, copied);
    to->position += copied;
    return copied;
}
tarn_size_t tarn_user_copy_out(tarn_user* to, const void* media, tarn_size_t length) { return copy_out(to, media, length); }
tarn_size_t tarn_user_zero_out(tarn_user* to, tarn_size_t length) { return copy_out(to, nullptr, length); }

}  // extern "C"
