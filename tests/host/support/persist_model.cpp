// SPDX-License-Identifier: GPL-2.0
#include "tests/host/support/persist_model.hpp"

#include <cstring>

namespace tarn::test {

PersistModel::PersistModel(TestDevice& device, void (*at_fence)(void* context), void* context)
    : device_(device), at_fence_(at_fence), context_(context), durable_(device.image())
{
    host::pretend_cpu(0);
    device_.set_observer({this, on_event});
}

PersistModel::~PersistModel()
{
    device_.set_observer({});
    host::pretend_cpu(-1);
}

// The lines that overlap the range are on their way with what they hold now.
void PersistModel::send(u64 offset, u64 length)
{
    if (!length)
        return;
    Lines& lines = in_flight_[tarn_cpu_current()];
    for (u64 number = offset / kLineSize; number <= (offset + length - 1) / kLineSize; number++) {
        const std::byte* bytes = device_.bytes() + number * kLineSize;
        Line& line = lines[number];
        line.bytes.assign(bytes, bytes + kLineSize);
        line.order = ++order_;
    }
}

// What another processor sent later, and has fenced, is newer and stays.
void PersistModel::arrive()
{
    Lines& lines = in_flight_[tarn_cpu_current()];
    for (const auto& [number, line] : lines) {
        u64& newest = arrived_[number];
        if (line.order < newest)
            continue;
        newest = line.order;
        std::memcpy(durable_.data() + number * kLineSize, line.bytes.data(), kLineSize);
    }
    lines.clear();
}

int PersistModel::on_event(void* context, const host::Event& event)
{
    auto& self = *static_cast<PersistModel*>(context);
    switch (event.kind) {
        case host::Event::Kind::kCopy:
        case host::Event::Kind::kZero:
        case host::Event::Kind::kWriteBack: self.send(event.offset, event.length); break;
        case host::Event::Kind::kFence:
            if (self.at_fence_)
                self.at_fence_(self.context_);
            self.arrive();
            break;
    }
    return 0;
}

namespace {

// How much of what is not durable survives: what goes wrong when one line of many is lost does not show in
// images that lose half of them, and the other way round.
enum class Survival { kFew, kHalf, kMost, kTorn };

// Which words of a line survive: all or none, now and then some of them; for kTorn always some.
u64 surviving_words(std::mt19937_64& random, Survival survival)
{
    const u64 dice = random();
    if (survival == Survival::kTorn || (dice >> 8 & 15) == 0)
        return random();
    const u64 sixteenths = survival == Survival::kFew ? 1 : survival == Survival::kHalf ? 8 : 15;
    return (dice & 15) < sixteenths ? ~u64{0} : 0;
}

}  // namespace

std::vector<std::byte> PersistModel::some(std::mt19937_64& random) const
{
    constexpr Survival kChoices[] = {Survival::kFew, Survival::kHalf, Survival::kMost, Survival::kMost,
                                     Survival::kTorn};
    const Survival survival = kChoices[random() % std::size(kChoices)];
    std::vector<std::byte> image = durable_;
    const std::byte* now = device_.bytes();
    for (u64 line = 0; line < image.size(); line += kLineSize) {
        if (std::memcmp(image.data() + line, now + line, kLineSize) == 0)
            continue;
        const u64 words = surviving_words(random, survival);
        for (u64 word = 0; word < kLineSize / kWordSize; word++)
            if (words >> word & 1)
                std::memcpy(image.data() + line + word * kWordSize, now + line + word * kWordSize, kWordSize);
    }
    return image;
}

}  // namespace tarn::test
