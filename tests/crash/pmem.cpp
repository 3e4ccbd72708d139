// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/pmem.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "cxxrt/mutant.hpp"

namespace tarn::crash {

constexpr u64 kLinesOfBlock = kBlockSize / kLineSize;

Image::Image(u64 blocks) : blocks_(blocks), is_touched_(blocks)
{
    void* memory =
        mmap(nullptr, blocks * kBlockSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::runtime_error("no memory for an image");
    bytes_ = static_cast<std::byte*>(memory);
}

Image::~Image() { munmap(bytes_, blocks_ * kBlockSize); }

void Image::touch_range(u64 offset, u64 length)
{
    for (u64 block = offset / kBlockSize; length && block <= (offset + length - 1) / kBlockSize; block++)
        touch(block);
}

void Image::restore(const Image& other)
{
    for (u64 block : touched_) {
        std::memcpy(bytes_ + block * kBlockSize, other.bytes_ + block * kBlockSize, kBlockSize);
        is_touched_[block] = false;
    }
    touched_.clear();
}

namespace {

tarn_device describe_device(const Image& image, host::Backing& backing)
{
    tarn_device device = {};
    device.base = reinterpret_cast<unsigned char*>(image.bytes());
    device.blocks = image.blocks();
    device.class_ = TARN_DEVICE_SYNC;
    device.write_back = 1;
    device.first_pfn = 0x100000;
    device.handle = &backing;
    return device;
}

}  // namespace

u64 Pmem::hash_of(u64 number, const LineBytes& line)
{
    u64 hash = (number + 1) * 0x9e3779b97f4a7c15;
    for (u64 word : line) {
        hash = (hash ^ word) * 0xff51afd7ed558ccd;
        hash ^= hash >> 32;
    }
    return hash * 0xc4ceb9fe1a85ec53;
}

Pmem::Pmem(const Image& base)
    : base_(base), cache_(base.blocks()), durable_(base.blocks()), scratch_(base.blocks())
{
    for (Image* image : {&cache_, &durable_, &scratch_})
        std::memcpy(image->bytes(), base.bytes(), base.blocks() * kBlockSize);
    base_hash_ = 0;
    for (u64 line = 0; line < base.blocks() * kLinesOfBlock; line++)
        base_hash_ ^= hash_of(line, base.line(line));
    hash_ = base_hash_;
    backing_.observer = {this, on_event};
    scratch_backing_.observer = {this, on_scratch_event};
    device_ = describe_device(cache_, backing_);
    scratch_device_ = describe_device(scratch_, scratch_backing_);
}

void Pmem::reset()
{
    for (u64 block : durable_.touched())
        scratch_.touch(block);
    for (Image* image : {&cache_, &durable_, &scratch_})
        image->restore(base_);
    in_flight_.clear();
    arrived_.clear();
    hash_ = base_hash_;
}

void Pmem::load(const Pmem& other, const std::vector<Line>& lines)
{
    reset();
    for (u64 block : other.durable_.touched()) {
        for (Image* image : {&cache_, &durable_, &scratch_})
            std::memcpy(image->bytes() + block * kBlockSize, other.durable_.bytes() + block * kBlockSize,
                        kBlockSize);
        cache_.touch(block);
        durable_.touch(block);
    }
    hash_ = other.hash_;
    for (const Line& line : lines) {
        cache_.touch(line.number / kLinesOfBlock);
        cache_.line(line.number) = line.bytes;
        set_durable(line.number, line.bytes);
    }
}

void Pmem::cut_power()
{
    for (u64 block : cache_.touched())
        std::memcpy(cache_.bytes() + block * kBlockSize, durable_.bytes() + block * kBlockSize, kBlockSize);
    in_flight_.clear();
    arrived_.clear();
}

void Pmem::store(u64 offset, const void* bytes, u64 length)
{
    cache_.touch_range(offset, length);
    std::memcpy(cache_.bytes() + offset, bytes, length);
}

// The lines that overlap the range are on their way with what they hold now.
void Pmem::send(u64 offset, u64 length)
{
    if (!length)
        return;
    auto& lines = in_flight_[tarn_cpu_current()];
    for (u64 number = offset / kLineSize; number <= (offset + length - 1) / kLineSize; number++)
        lines[number] = Sent{cache_.line(number), ++order_};
}

// What another processor sent later, and has fenced, is newer and stays.
void Pmem::arrive()
{
    auto& lines = in_flight_[tarn_cpu_current()];
    for (const auto& [number, sent] : lines) {
        u64& newest = arrived_[number];
        if (sent.order < newest)
            continue;
        newest = sent.order;
        set_durable(number, sent.bytes);
    }
    lines.clear();
}

void Pmem::set_durable(u64 number, const LineBytes& bytes)
{
    LineBytes& line = durable_.line(number);
    if (line == bytes)
        return;
    durable_.touch(number / kLinesOfBlock);
    hash_ ^= hash_of(number, line) ^ hash_of(number, bytes);
    line = bytes;
    scratch_.line(number) = bytes;
}

std::vector<Pending> Pmem::pending() const
{
    std::vector<Pending> found;
    auto add = [](Pending& line, const LineBytes& bytes) {
        if (bytes == line.durable)
            return;
        for (const LineBytes& known : line.newer)
            if (known == bytes)
                return;
        line.newer.push_back(bytes);
    };
    for (u64 block : cache_.touched()) {
        for (u64 number = block * kLinesOfBlock; number < (block + 1) * kLinesOfBlock; number++) {
            Pending line{number, durable_.line(number), {}};
            for (const auto& [cpu, lines] : in_flight_) {
                auto sent = lines.find(number);
                auto newest = arrived_.find(number);
                if (sent != lines.end() && (newest == arrived_.end() || sent->second.order > newest->second))
                    add(line, sent->second.bytes);
            }
            add(line, cache_.line(number));
            if (!line.newer.empty())
                found.push_back(std::move(line));
        }
    }
    return found;
}

const tarn_device& Pmem::enter(const std::vector<Line>& lines)
{
    for (const Line& line : lines) {
        scratch_.touch(line.number / kLinesOfBlock);
        scratch_.line(line.number) = line.bytes;
    }
    return scratch_device_;
}

bool Pmem::is_exact() const
{
    if (std::memcmp(scratch_.bytes(), durable_.bytes(), durable_.blocks() * kBlockSize) != 0)
        return false;
    std::vector<bool> touched(cache_.blocks());
    for (u64 block : cache_.touched())
        touched[block] = true;
    for (u64 block = 0; block < cache_.blocks(); block++)
        if (!touched[block] && std::memcmp(cache_.bytes() + block * kBlockSize,
                                           durable_.bytes() + block * kBlockSize, kBlockSize) != 0)
            return false;
    return true;
}

// The tail of a copy that does not end with a line is stored through the cache, and has to be written back.
static u64 length_sent(const host::Event& event)
{
    if (event.kind != host::Event::Kind::kCopy || !mutant(Mutant::kUnflushedTail))
        return event.length;
    const u64 end = round_down(event.offset + event.length, kLineSize);
    return end > event.offset ? end - event.offset : 0;
}

int Pmem::on_event(void* context, const host::Event& event)
{
    auto& self = *static_cast<Pmem*>(context);
    using Kind = host::Event::Kind;
    self.cache_.touch_range(event.offset, event.length);
    const bool dropped = self.is_dropped && self.is_dropped(event);
    if (event.kind == Kind::kFence) {
        if (self.at_fence)
            self.at_fence();
        if (self.is_failing && self.is_failing())
            return -EIO;
        if (!dropped)
            self.arrive();
    } else if (!dropped) {
        self.send(event.offset, length_sent(event));
    }
    if (self.at_call)
        self.at_call();
    return 0;
}

int Pmem::on_scratch_event(void* context, const host::Event& event)
{
    static_cast<Pmem*>(context)->scratch_.touch_range(event.offset, event.length);
    return 0;
}

}  // namespace tarn::crash
