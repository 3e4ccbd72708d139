// SPDX-License-Identifier: GPL-2.0
// The pmem core's world in tests: see pmem_media.hpp.
#include "tests/host/pmem_media.hpp"

#include <algorithm>
#include <cstring>

namespace tarn::pmem::test {

Media::Media(u64 pages) : memory_(pages * kPageSize)
{
    backing_.observer = {this, on_event};
    disk_.memory.base = memory_.data();
    disk_.memory.blocks = pages;
    disk_.memory.first_pfn = 0x100000;
    disk_.memory.handle = &backing_;
    disk_.media = this;
    disk_.poison_errno = -133;
}

int Media::on_event(void* context, const host::Event& event)
{
    Media& media = *static_cast<Media*>(context);
    const char* what = event.kind == host::Event::Kind::kZero ? "zero" : "store";
    media.log.push_back(std::string(what) + " " + std::to_string(event.offset) + "+" +
                        std::to_string(event.length));
    if (event.offset >= media.absent_from)
        std::memset(media.base() + event.offset, 0, event.length);
    return 0;
}

void Media::poison_secretly(u64 sector, u64 count)
{
    for (u64 n = 0; n < count; n++)
        poisoned.insert(sector + n);
}

void Media::poison(u64 sector, u64 count)
{
    poison_secretly(sector, count);
    for (u64 n = 0; n < count; n++)
        bad.insert(sector + n);
}

std::string Media::bytes(u64 offset, u64 length) const
{
    return std::string(memory_.begin() + static_cast<long>(offset),
                       memory_.begin() + static_cast<long>(offset + length));
}

void Media::fill(char with) { std::fill(memory_.begin(), memory_.end(), with); }

namespace {

Media& of(void* media) { return *static_cast<Media*>(media); }

std::string say(const char* what, u64 first, u64 count)
{
    return std::string(what) + " " + std::to_string(first) + "+" + std::to_string(count);
}

}  // namespace

extern "C" {

int tarn_media_first_bad(void* media, unsigned long long sector, unsigned long long sectors,
                         unsigned long long* first, unsigned long long* count)
{
    const auto& bad = of(media).bad;
    auto at = bad.lower_bound(sector);
    if (at == bad.end() || *at >= sector + sectors)
        return 0;
    *first = *at;
    for (*count = 0; bad.count(*first + *count); ++*count) {
    }
    // Like the kernel's list, a run that begins before the range is told from its own beginning.
    while (*first > 0 && bad.count(*first - 1)) {
        --*first;
        ++*count;
    }
    return 1;
}

void tarn_media_add_bad(void* media, unsigned long long sector, unsigned long long sectors)
{
    of(media).log.push_back(say("add", sector, sectors));
    for (u64 n = 0; n < sectors; n++)
        of(media).bad.insert(sector + n);
}

void tarn_media_forget_bad(void* media, unsigned long long sector, unsigned long long sectors)
{
    of(media).log.push_back(say("forget", sector, sectors));
    for (u64 n = 0; n < sectors; n++)
        of(media).bad.erase(sector + n);
}

long long tarn_media_clear_poison(void* media, unsigned long long offset, unsigned long long length)
{
    Media& machine = of(media);
    machine.log.push_back(say("clear", offset, length));
    if (machine.clear_fails)
        return -6;
    const u64 cleared = std::min<u64>(length, machine.can_clear);
    for (u64 at = offset; at < offset + cleared; at += kSectorSize)
        machine.poisoned.erase(at / kSectorSize);
    std::memset(machine.base() + offset, '?', cleared);  // undefined contents
    return static_cast<long long>(cleared);
}

int tarn_media_is_blocked(void* media, unsigned long long page, unsigned long long pages)
{
    const auto& blocked = of(media).blocked;
    auto at = blocked.lower_bound(page);
    return at != blocked.end() && *at < page + pages;
}

void tarn_media_unblock(void* media, unsigned long long page, unsigned long long pages)
{
    of(media).log.push_back(say("unblock", page, pages));
    for (u64 n = 0; n < pages; n++)
        of(media).blocked.erase(page + n);
}

tarn_size_t tarn_media_load(void* media, void* target, const void* source, tarn_size_t length)
{
    Media& machine = of(media);
    const u64 offset = static_cast<u64>(static_cast<const unsigned char*>(source) - machine.base());
    tarn_size_t good = 0;
    while (good < length && !machine.poisoned.count((offset + good) / kSectorSize))
        good++;
    std::memcpy(target, source, good);
    return length - good;
}

int tarn_media_flush(void* media)
{
    of(media).log.push_back("flush");
    return of(media).flush_result;
}

void tarn_media_pause(void* media) { of(media).pauses++; }

}  // extern "C"

}  // namespace tarn::pmem::test
