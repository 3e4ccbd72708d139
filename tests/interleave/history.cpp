// SPDX-License-Identifier: GPL-2.0
#include "tests/interleave/history.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace tarn::test {

namespace {
constexpr usize kMostEvents = 32;  // a bit for each
}

usize History::begin(Event::Kind kind, u64 from, u64 to, u64 value)
{
    events_.push_back({kind, from, to, value, ++clock_});
    return events_.size() - 1;
}

bool History::has(Event::Kind kind) const
{
    return std::any_of(events_.begin(), events_.end(),
                       [&](const Event& event) { return event.kind == kind; });
}

// False where the event cannot have come now.
bool History::apply(const Event& event, u64 word, State& state)
{
    using Kind = Event::Kind;
    const bool is_behind = word >= state.size;
    const bool is_meant = event.from <= word && word < event.to;
    switch (event.kind) {
        case Kind::kSee: return !is_meant || is_behind || !state.is_known || event.value == state.value;
        case Kind::kStore:
            if (is_meant && !is_behind)
                state = {event.value, state.size};
            return true;
        case Kind::kClear:
            if (is_meant)
                state = {0, state.size};
            return true;
        case Kind::kWrite:
            if (is_meant)
                state = {event.value, state.size};
            state.size = std::max(state.size, event.to);
            return true;
        case Kind::kCut:
            state.size = event.to;
            if (word >= state.size)
                state = {0, state.size};
            return true;
        case Kind::kInsert:
            if (is_meant)
                state = {0, state.size};
            state.size += event.to - event.from;
            return state.size - (event.to - event.from) > event.from;
        case Kind::kCollapse:
            if (state.size <= event.to)
                return false;
            state.size -= event.to - event.from;
            state.is_known &= word < event.from;
            if (word >= state.size)
                state = {0, state.size};
            return true;
    }
    return false;
}

// `left`: a bit for each event that is still to come.
bool History::explain(const Word& word, u32 left, State state, u64 size) const
{
    if (!left)
        return state.size == size;
    for (usize i = 0; i < events_.size(); i++) {
        if (!(left >> i & 1))
            continue;
        bool may_be_next = true;
        for (usize j = 0; j < events_.size(); j++)
            if (left >> j & 1 && events_[j].is_over_before(events_[i]))
                may_be_next = false;
        State next = state;
        if (may_be_next && apply(events_[i], word.at, next) && explain(word, left & ~(1u << i), next, size))
            return true;
    }
    return false;
}

std::string History::unexplained(u64 size) const
{
    if (events_.size() >= kMostEvents)
        throw std::logic_error("too many events for one history");
    std::string text;
    for (const Word& word : words_)
        if (!explain(word, (1u << events_.size()) - 1, State{word.value, first_size_}, size))
            text += " " + std::to_string(word.at);
    return text;
}

std::string History::text() const
{
    static constexpr const char* kNames[] = {"store", "write", "clear", "cut", "insert", "collapse", "see"};
    std::string text = "  size " + std::to_string(first_size_);
    char line[160];
    for (const Word& word : words_) {
        std::snprintf(line, sizeof line, ", %#llx at %llu", word.value, word.at);
        text += line;
    }
    for (const Event& event : events_) {
        std::snprintf(line, sizeof line, "\n  %llu-%lld: %s [%llu, %llu) %#llx", event.begin,
                      static_cast<long long>(event.end), kNames[static_cast<int>(event.kind)], event.from,
                      event.to, event.value);
        text += line;
    }
    return text + "\n";
}

}  // namespace tarn::test
