// SPDX-License-Identifier: GPL-2.0
#include "tests/host/support/cost.hpp"

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/cost_budgets.hpp"

namespace tarn::test {

namespace {

template <class Field>
u64 median_of(const std::vector<Cost>& samples, Field field)
{
    std::vector<u64> values;
    for (const Cost& sample : samples)
        values.push_back(field(sample));
    std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

}  // namespace

void Cost::raise(const Cost& other)
{
    fences = max(fences, other.fences);
    lines = max(lines, other.lines);
    journal = max(journal, other.journal);
    data = max(data, other.data);
    twice = max(twice, other.twice);
    rewritten = max(rewritten, other.rewritten);
    slots = max(slots, other.slots);
}

// ---- the meter --------------------------------------------------------------------------------------------

CostMeter::CostMeter(TestDevice& device, const Layout& layout) : device_(device), layout_(layout)
{
    compare_with_counters();
    device_.set_observer({this, on_event});
}

CostMeter::~CostMeter() { device_.set_observer({}); }

Cost CostMeter::take()
{
    const Cost taken = cost_;
    const u64 fences = fences_, lines = lines_, journal = journal_, streamed = streamed_;
    compare_with_counters();
    EXPECT_EQ(fences_ - fences, taken.fences);
    EXPECT_EQ(lines_ - lines, taken.lines);
    EXPECT_EQ(journal_ - journal, taken.journal);
    EXPECT_EQ(streamed_ - streamed, taken.journal + taken.data);
    cost_ = Cost{};
    written_back_.clear();
    zeroed_.clear();
    return taken;
}

void CostMeter::compare_with_counters()
{
    const host::Counters& counters = device_.counters();
    fences_ = counters.fences.load_relaxed();
    lines_ = counters.written_back_lines.load_relaxed();
    journal_ = counters.journal_bytes.load_relaxed();
    streamed_ = counters.streamed_bytes();
}

int CostMeter::on_event(void* context, const host::Event& event)
{
    static_cast<CostMeter*>(context)->note(event);
    return 0;
}

void CostMeter::note(const host::Event& event)
{
    using Kind = host::Event::Kind;
    switch (event.kind) {
        case Kind::kCopy:
        case Kind::kZero: store(event); break;
        case Kind::kWriteBack: write_back(event.offset, event.offset + event.length); break;
        case Kind::kFence:
            cost_.fences++;
            written_back_.clear();
            break;
    }
}

void CostMeter::store(const host::Event& event)
{
    const u64 from = event.offset, to = event.offset + event.length;
    const u64 journals = layout_.journal_start.value * kBlockSize;
    const u64 behind = journals + u64{layout_.journals} * layout_.journal_blocks * kBlockSize;
    if (from >= journals && to <= behind) {
        cost_.journal += event.length;
        cost_.slots += (from - journals) % (layout_.journal_blocks * kBlockSize) < kBlockSize;
        return;
    }
    cost_.data += event.length;
    if (event.kind == host::Event::Kind::kZero) {
        zeroed_.push_back({from, to});
        return;
    }
    for (const Range& zeroes : zeroed_)
        if (zeroes.from < to && from < zeroes.to)
            cost_.rewritten += min(to, zeroes.to) - max(from, zeroes.from);
}

void CostMeter::write_back(u64 from, u64 to)
{
    for (u64 line = from / kLineSize; line * kLineSize < to; line++) {
        cost_.lines++;
        const auto at = std::lower_bound(written_back_.begin(), written_back_.end(), line);
        if (at != written_back_.end() && *at == line)
            cost_.twice++;
        else
            written_back_.insert(at, line);
    }
}

// ---- the table --------------------------------------------------------------------------------------------

void CostRow::print_heading()
{
    std::printf("\n| %-44s | fences | lines | journal |    data |   bytes | most fences | most bytes |\n",
                "operation");
    std::printf("|:%s|-------:|------:|--------:|--------:|--------:|------------:|-----------:|\n",
                std::string(45, '-').c_str());
}

void CostRow::add(const Cost& cost)
{
    if (!cost.slots)
        add_retiring(cost);
}

void CostRow::add_retiring(const Cost& cost)
{
    samples_.push_back(cost);
    most_.raise(cost);
}

Cost CostRow::median() const
{
    Cost middle;
    middle.fences = median_of(samples_, [](const Cost& cost) { return cost.fences; });
    middle.lines = median_of(samples_, [](const Cost& cost) { return cost.lines; });
    middle.journal = median_of(samples_, [](const Cost& cost) { return cost.journal; });
    middle.data = median_of(samples_, [](const Cost& cost) { return cost.data; });
    return middle;
}

CostRow::~CostRow()
{
    EXPECT_GE(samples_.size(), 20u) << name_;
    if (samples_.empty())
        return;
    const Cost middle = median();
    u64 most_bytes = 0;
    for (const Cost& sample : samples_)
        most_bytes = max(most_bytes, sample.bytes());
    std::printf("| %-44s | %6llu | %5llu | %7llu | %7llu | %7llu | %11llu | %10llu |\n", name_.c_str(),
                middle.fences, middle.lines, middle.journal, middle.data, middle.bytes(), most_.fences,
                most_bytes);
    compare(middle, most_bytes);
}

void CostRow::compare(const Cost& middle, u64 most_bytes) const
{
    const Budget* budget = budget_of(name_.c_str());
    if (!budget) {
        ADD_FAILURE() << name_ << " has no budget";
        return;
    }
    EXPECT_LE(middle.fences, budget->fences) << name_;
    EXPECT_LE(middle.lines, budget->lines) << name_;
    EXPECT_LE(middle.journal, budget->journal) << name_;
    EXPECT_LE(middle.data, budget->data) << name_;
    EXPECT_LE(most_.fences, budget->most_fences) << name_;
    EXPECT_LE(most_bytes, budget->most_bytes) << name_;
    EXPECT_EQ(most_.slots ? 0 : most_.twice, 0u) << name_ << ": a line is written back twice";
    EXPECT_EQ(most_.rewritten, 0u) << name_ << ": zeroed, and then written";
}

}  // namespace tarn::test
