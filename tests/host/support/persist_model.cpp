// SPDX-License-Identifier: GPL-2.0
#include "tests/host/support/persist_model.hpp"

#include <cstring>

namespace tarn::test {

PersistModel::PersistModel(TestDevice& device, void (*at_fence)(void* context), void* context)
    : device_(device),
      at_fence_(at_fence),
      context_(context),
      durable_(device.image()),
      flying_(device.blocks()),
      arrived_(durable_.size() / kLineSize),
      is_touched_(device.blocks())
{
    host::pretend_cpu(0);
    device_.set_observer({this, on_event});
}

PersistModel::~PersistModel()
{
    device_.set_observer({});
    host::pretend_cpu(-1);
}

void PersistModel::touch(u64 block)
{
    if (is_touched_[block])
        return;
    is_touched_[block] = true;
    touched_.push_back(block);
}

void PersistModel::reset(const std::vector<std::byte>& base)
{
    for (u64 block : touched_) {
        const u64 offset = block * kBlockSize;
        std::memcpy(durable_.data() + offset, base.data() + offset, kBlockSize);
        std::memcpy(device_.bytes() + offset, base.data() + offset, kBlockSize);
        std::fill_n(arrived_.begin() + static_cast<long>(offset / kLineSize), kBlockSize / kLineSize, 0);
        flying_[block] = 0;
        is_touched_[block] = false;
    }
    touched_.clear();
    in_flight_.clear();
    order_ = 0;
}

// The lines that overlap the range are on their way with what they hold now.
void PersistModel::send(u64 offset, u64 length)
{
    const u64 end = round_up(offset + length, kLineSize);
    for (u64 at = round_down(offset, kLineSize); length && at < end;) {
        const u64 piece = min(end, round_down(at, kBlockSize) + kBlockSize) - at;
        send_lines(at, piece);
        at += piece;
    }
}

void PersistModel::send_lines(u64 offset, u64 length)
{
    const u64 block = offset / kBlockSize;
    const std::byte* bytes = device_.bytes() + offset;
    if (!flying_[block] && std::memcmp(bytes, durable_.data() + offset, length) == 0)
        return;
    touch(block);
    flying_[block]++;
    in_flight_[tarn_cpu_current()].push_back({offset, ++order_, {bytes, bytes + length}});
}

// What another processor sent later, and has fenced, is newer and stays.
void PersistModel::arrive()
{
    std::vector<Sent>& all = in_flight_[tarn_cpu_current()];
    for (const Sent& sent : all) {
        flying_[sent.offset / kBlockSize]--;
        for (u64 at = 0; at < sent.bytes.size(); at += kLineSize) {
            u64& newest = arrived_[(sent.offset + at) / kLineSize];
            if (sent.order < newest)
                continue;
            newest = sent.order;
            std::memcpy(durable_.data() + sent.offset + at, sent.bytes.data() + at, kLineSize);
        }
    }
    all.clear();
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
