// SPDX-License-Identifier: GPL-2.0
// History: what threads did to a file and saw in it, and when; and whether one order of it all explains that.
//
// An operation takes effect for each aligned word of 8 bytes at one moment between its beginning and its
// end: a store or a load at the moment it is made, a system call word by word. So for every word there must
// be an order, in which nothing stands before what ended before it began, that gives each load what it saw
// and the file its size. Words behind the end mean nothing, and are zero when the file grows over them.
#pragma once
#include <string>
#include <vector>

#include "cxxrt/types.hpp"

namespace tarn::test {

struct Event {
    enum class Kind : u8 {
        kStore,     // of `value` at [from, to), through a mapping: nothing behind the end
        kWrite,     // the same, and the file grows
        kClear,     // zeroes at [from, to)
        kCut,       // the size becomes `to`
        kInsert,    // [from, to) becomes a hole, and what was there moves out of sight
        kCollapse,  // [from, to) goes: nothing is known of what moves there
        kSee,       // `value` was seen at [from, to)
    };
    static constexpr u64 kNever = ~u64{0};

    Kind kind;
    u64 from, to, value;
    u64 begin, end = kNever;

    bool touches(u64 word) const
    {
        if (kind == Kind::kCut)
            return to <= word;
        return from <= word && (word < to || kind == Kind::kCollapse);
    }
    // Words it touches hold something else than `value` afterwards.
    bool has_no_value() const { return kind != Kind::kStore && kind != Kind::kWrite && kind != Kind::kSee; }
    bool is_over_before(const Event& other) const { return end < other.begin; }
};

class History {
  public:
    void start(u64 size) { first_size_ = size; }
    // What a word held in the beginning.
    void held(u64 word, u64 value) { words_.push_back({word, value}); }
    usize begin(Event::Kind kind, u64 from, u64 to, u64 value = 0);
    void end(usize event) { events_[event].end = ++clock_; }
    // It did not happen after all.
    void end_undone(usize event)
    {
        events_[event].kind = Event::Kind::kStore;
        events_[event].from = events_[event].to = 0;
        end(event);
    }
    // Of something that takes no time.
    void note(Event::Kind kind, u64 from, u64 to, u64 value) { end(begin(kind, from, to, value)); }

    const std::vector<Event>& events() const { return events_; }
    u64 clock() const { return clock_; }
    bool has(Event::Kind kind) const;
    // The words that no order explains, given the size now; empty: all is well.
    std::string unexplained(u64 size) const;
    std::string text() const;

  private:
    struct Word {
        u64 at, value;
    };
    struct State {
        u64 value, size;
        bool is_known = true;
    };
    bool explain(const Word& word, u32 left, State state, u64 size) const;
    static bool apply(const Event& event, u64 word, State& state);

    std::vector<Event> events_;
    std::vector<Word> words_;
    u64 first_size_ = 0;
    u64 clock_ = 0;
};

}  // namespace tarn::test
