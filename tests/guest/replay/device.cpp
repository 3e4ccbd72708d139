// SPDX-License-Identifier: GPL-2.0
#include "device.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "cxxrt/host/host.hpp"
#include "fs/media/layout.hpp"
#include "fs/media/media.hpp"

namespace replay {

namespace {

constexpr uint64_t kAllBytes = ~uint64_t{0};

uint8_t* map(int fd, uint64_t size, int protection, int flags)
{
    void* at = mmap(nullptr, size, protection, flags, fd, 0);
    if (at == MAP_FAILED)
        throw std::runtime_error("cannot map " + std::to_string(size) + " bytes");
    return static_cast<uint8_t*>(at);
}

// Holes stay holes.
void copy_pages(uint8_t* to, const uint8_t* from, uint64_t size)
{
    static const uint8_t zeroes[4096] = {};
    for (uint64_t at = 0; at < size; at += sizeof zeroes) {
        if (memcmp(from + at, zeroes, sizeof zeroes) != 0)
            memcpy(to + at, from + at, sizeof zeroes);
    }
}

uint64_t bits(uint64_t first, uint64_t count)
{
    return (count == 64 ? kAllBytes : (uint64_t{1} << count) - 1) << first;
}

}  // namespace

Image::Image(int fd, uint64_t size)
    : bytes_(map(fd, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE)), size_(size)
{
}

Image::~Image() { munmap(bytes_, size_); }

void Image::save(const std::string& path) const
{
    std::ofstream file(path, std::ios::binary);
    if (!file.write(reinterpret_cast<const char*>(bytes_), static_cast<std::streamsize>(size_)))
        throw std::runtime_error("cannot write " + path);
}

Device::Device(const std::string& path)
{
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const off_t end = file < 0 ? -1 : lseek(file, 0, SEEK_END);
    if (end <= 0)
        throw std::runtime_error(path + ": " + strerror(errno));
    size_ = static_cast<uint64_t>(end);
    fd_ = memfd_create("durable", MFD_CLOEXEC);
    if (fd_ < 0 || ftruncate(fd_, end) != 0)
        throw std::runtime_error("no memory for a device");
    durable_ = map(fd_, size_, PROT_READ | PROT_WRITE, MAP_SHARED);
    now_ = map(-1, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    uint8_t* begin = map(file, size_, PROT_READ, MAP_PRIVATE);
    close(file);
    copy_pages(durable_, begin, size_);
    copy_pages(now_, begin, size_);
    munmap(begin, size_);
    tarn_device device = {};
    device.base = now_;
    device.blocks = size_ / tarn::kBlockSize;
    tarn::Media media(device);
    auto layout = tarn::read_layout(media);
    if (!layout)
        throw std::runtime_error(path + " holds no tarnfs");
    journals_begin_ = layout.value().journal_start.value * tarn::kBlockSize;
    journals_end_ = layout.value().bitmap_start.value * tarn::kBlockSize;
}

Device::~Device()
{
    munmap(durable_, size_);
    munmap(now_, size_);
    close(fd_);
}

void Device::apply(const trace_event& event)
{
    switch (event.kind) {
        case TRACE_STORE: return store(event);
        case TRACE_STREAM:
            store(event);
            return send(event.vcpu, event.offset / kLine * kLine, bits(event.offset % kLine, event.size));
        case TRACE_WRITE_BACK: return send(event.vcpu, event.offset, kAllBytes);
        case TRACE_FENCE: return fence(event.vcpu);
    }
}

void Device::store(const trace_event& event)
{
    if (event.size > sizeof event.data || event.offset > size_ - event.size ||
        event.offset / kLine != (event.offset + event.size - 1) / kLine)
        throw std::runtime_error("the trace is damaged: a store of " + std::to_string(event.size) +
                                 " bytes at " + std::to_string(event.offset));
    memcpy(now_ + event.offset, &event.data, event.size);
    unsettled_.insert(event.offset / kLine * kLine);
}

// These bytes of the line are on their way with what they hold now.
void Device::send(unsigned vcpu, uint64_t line, uint64_t bytes)
{
    Flight& flight = flights_[vcpu][line];
    flight.order = ++order_;
    flight.bytes |= bytes;
    if (bytes == kAllBytes) {
        memcpy(flight.contents, now_ + line, kLine);
        return;
    }
    for (uint64_t i = 0; i < kLine; i++) {
        if (bytes >> i & 1)
            flight.contents[i] = now_[line + i];
    }
}

// What another processor sent later, and has fenced, is newer and stays.
void Device::fence(unsigned vcpu)
{
    for (const auto& [line, flight] : flights_[vcpu]) {
        uint64_t& newest = arrived_[line];
        if (flight.order < newest)
            continue;
        newest = flight.order;
        for (uint64_t i = 0; i < kLine; i++) {
            if (flight.bytes >> i & 1)
                durable_[line + i] = flight.contents[i];
        }
        settle(line);
    }
    flights_[vcpu].clear();
}

void Device::settle(uint64_t line)
{
    if (memcmp(durable_ + line, now_ + line, kLine) == 0)
        unsettled_.erase(line);
}

bool Device::is_journal(uint64_t line) const { return line >= journals_begin_ && line < journals_end_; }

uint64_t Device::surviving_words(uint64_t line, Survivors survivors, uint64_t chosen,
                                 powercut::Random& random) const
{
    const auto some = [&](uint64_t sixteenths) {
        if (random.below(16) == 0)
            return random.next();
        return random.below(16) < sixteenths ? ~uint64_t{0} : 0;
    };
    const auto all_if = [](bool survives) { return survives ? ~uint64_t{0} : 0; };
    switch (survivors) {
        case Survivors::kNone: return 0;
        case Survivors::kFew: return some(1);
        case Survivors::kHalf: return some(8);
        case Survivors::kMost: return some(15);
        case Survivors::kTorn: return random.next();
        case Survivors::kAllButOne: return all_if(line != chosen);
        case Survivors::kOnlyOne: return all_if(line == chosen);
        case Survivors::kJournals: return all_if(is_journal(line));
        case Survivors::kOthers: return all_if(!is_journal(line));
    }
    return 0;
}

std::unique_ptr<Image> Device::cut(Survivors survivors, powercut::Random& random) const
{
    auto image = std::make_unique<Image>(fd_, size_);
    // In an order of their own, so that a seed decides what survives.
    std::vector<uint64_t> lines(unsettled_.begin(), unsettled_.end());
    std::ranges::sort(lines);
    const uint64_t chosen = lines.empty() ? 0 : lines[random.below(lines.size())];
    for (uint64_t line : lines) {
        const uint64_t words = surviving_words(line, survivors, chosen, random);
        for (uint64_t word = 0; word < kLine / kWord; word++) {
            const uint64_t at = line + word * kWord;
            if (words >> word & 1)
                memcpy(image->bytes() + at, now_ + at, kWord);
        }
    }
    return image;
}

}  // namespace replay
