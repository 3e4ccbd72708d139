// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/states.hpp"

#include <algorithm>

namespace tarn::crash {

namespace {

constexpr u32 kWholeLine = 255;
constexpr usize kMostSubsets = 256;
constexpr usize kMostPairs = 60;
constexpr usize kMostTorn = 60;
constexpr usize kMostPrefixes = 24;

// One line that is not as the rest of its state: version 0 is durable, above are the newer ones; of a torn
// line only the words in `words` are the newest.
struct Exception {
    u32 index;
    u32 version;
    u32 words = kWholeLine;
};

// A state: everything newest, or nothing, but for the exceptions.
struct Plan {
    bool all;
    std::vector<Exception> but;
};

class Planner {
  public:
    Planner(const std::vector<Pending>& pending, u64 journal_end, std::mt19937_64& random)
        : pending_(pending), journal_end_(journal_end), random_(random)
    {
    }

    std::vector<Plan> plans(usize limit)
    {
        plans_ = {{false, {}}, {true, {}}};
        if (pending_.empty())
            return {{false, {}}};
        if (subsets() <= kMostSubsets) {
            every_subset();
        } else {
            journal_and_rest();
            ones();
            prefixes();
            pairs();
            at_random();
        }
        torn();
        if (plans_.size() > limit) {
            std::shuffle(plans_.begin() + static_cast<long>(std::min<usize>(4, limit)), plans_.end(),
                         random_);
            plans_.resize(limit);
        }
        return std::move(plans_);
    }

  private:
    u32 newest(u32 index) const { return static_cast<u32>(pending_[index].newer.size()); }
    u32 count() const { return static_cast<u32>(pending_.size()); }
    u32 any() { return static_cast<u32>(random_() % pending_.size()); }

    usize subsets() const
    {
        usize product = 1;
        for (const Pending& line : pending_)
            product = std::min(product * (1 + line.newer.size()), kMostSubsets + 1);
        return product;
    }
    void every_subset()
    {
        plans_.clear();
        const usize total = subsets();
        for (usize number = 0; number < total; number++) {
            Plan plan{false, {}};
            usize rest = number;
            for (u32 i = 0; i < count(); i++) {
                plan.but.push_back({i, static_cast<u32>(rest % (1 + newest(i)))});
                rest /= 1 + newest(i);
            }
            plans_.push_back(std::move(plan));
        }
    }
    void journal_and_rest()
    {
        Plan journal{false, {}}, rest{true, {}};
        for (u32 i = 0; i < count(); i++)
            if (pending_[i].number < journal_end_) {
                journal.but.push_back({i, newest(i)});
                rest.but.push_back({i, 0});
            }
        plans_.push_back(std::move(journal));
        plans_.push_back(std::move(rest));
    }
    void ones()
    {
        for (u32 i = 0; i < count(); i++)
            for (u32 version = 0; version <= newest(i); version++) {
                if (version != newest(i))
                    plans_.push_back({true, {{i, version}}});
                if (version != 0)
                    plans_.push_back({false, {{i, version}}});
            }
    }
    // Everything up to a line: what streaming stores leave.
    void prefixes()
    {
        std::vector<u32> order(count());
        for (u32 i = 0; i < count(); i++)
            order[i] = i;
        std::sort(order.begin(), order.end(),
                  [&](u32 a, u32 b) { return pending_[a].number < pending_[b].number; });
        const usize step = std::max<usize>(1, count() / kMostPrefixes);
        for (usize length = step; length < count(); length += step) {
            Plan plan{false, {}};
            for (usize i = 0; i < length; i++)
                plan.but.push_back({order[i], newest(order[i])});
            plans_.push_back(std::move(plan));
        }
    }
    void pairs()
    {
        const bool every = count() * (count() - 1) / 2 <= kMostPairs;
        for (u32 n = 0, i = 0, j = 1; n < kMostPairs; n++) {
            if (!every) {
                i = any();
                j = any();
            }
            if (i != j) {
                plans_.push_back({true, {{i, 0}, {j, 0}}});
                plans_.push_back({false, {{i, newest(i)}, {j, newest(j)}}});
            }
            if (every && ++j == count()) {
                j = ++i + 1;
                if (j >= count())
                    break;
            }
        }
    }
    void at_random()
    {
        for (u32 n = 0; n < 16; n++) {
            Plan plan{false, {}};
            const u64 percent = n % 4 * 25 + 12;
            for (u32 i = 0; i < count(); i++)
                if (random_() % 100 < percent)
                    plan.but.push_back({i, 1 + static_cast<u32>(random_() % newest(i))});
            plans_.push_back(std::move(plan));
        }
    }
    // One line at a time, and all together.
    void torn()
    {
        for (u32 words : {0x0fu, 0xf0u, 0x55u, static_cast<u32>(random_() & 0xff)}) {
            Plan plan{false, {}};
            for (u32 i = 0; i < count(); i++)
                plan.but.push_back({i, newest(i), words});
            plans_.push_back(std::move(plan));
        }
        const usize step = std::max<usize>(1, count() * 4 / kMostTorn);
        for (u32 i = static_cast<u32>(random_() % step); i < count(); i += static_cast<u32>(step))
            for (u32 words : {0x0fu, 0xf0u, static_cast<u32>(random_() & 0xff), 1u << random_() % 8})
                plans_.push_back({(words & 3) != 0, {{i, newest(i), words}}});
    }

    const std::vector<Pending>& pending_;
    const u64 journal_end_;
    std::mt19937_64& random_;
    std::vector<Plan> plans_;
};

LineBytes contents(const Pending& line, const Exception& what)
{
    if (what.version == 0)
        return line.durable;
    LineBytes bytes = line.newer[what.version - 1];
    for (u32 word = 0; word < bytes.size(); word++)
        if (!(what.words >> word & 1))
            bytes[word] = line.durable[word];
    return bytes;
}

}  // namespace

void for_each_state(const std::vector<Pending>& pending, usize limit, u64 journal_end,
                    std::mt19937_64& random, const std::function<void(const std::vector<Line>&)>& visit)
{
    std::vector<Line> lines;
    for (const Plan& plan : Planner(pending, journal_end, random).plans(limit)) {
        lines.clear();
        if (plan.all)
            for (const Pending& line : pending)
                lines.push_back({line.number, line.newer.back()});
        for (const Exception& exception : plan.but) {
            const Line line{pending[exception.index].number, contents(pending[exception.index], exception)};
            if (plan.all)
                lines[exception.index] = line;
            else
                lines.push_back(line);
        }
        visit(lines);
    }
}

}  // namespace tarn::crash
