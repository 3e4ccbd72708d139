// SPDX-License-Identifier: GPL-2.0
// Explorer: runs a workload, stops at each fence, and looks at what a power cut there would leave: recovers
// each state through the core, checks it, compares it with what may be seen.
//
// A workload runs twice: first to learn what each operation leads to, then to be cut. States are told apart
// by their contents; what recovery makes of one is computed once, and judged wherever the state comes up.
#pragma once
#include <random>

#include "tests/crash/operations.hpp"
#include "tests/crash/schedule.hpp"

namespace tarn::crash {

struct Workload {
    std::vector<const Operation*> operations = {};
    usize quiet = 0;     // the first ones are not cut
    usize states = 0;    // looked at at one fence; 0: as Limits says
    u64 records = 0;     // put into processor 0's journal before them (and a few into the others')
    bool moves = false;  // each operation runs on another processor than the one before
    // The last two run at the same time, on processors 0 and 2.
    bool is_pair = false;
    Schedule schedule = {};
    u64 failing = 0;  // this fence of the last one fails; then the next mount is cut

    std::string name() const;
};

struct Violation {
    std::string workload;
    std::string where;  // operation, fence
    std::string what;
    std::vector<std::string> lost;  // lines that were not as new as they could be
};

struct Limits {
    usize states = 160;         // at one fence
    u64 recovery_every = 40;    // of so many new states the recovery is cut
    usize recovery_states = 8;  // at each of its fences
    usize violations = 3;       // then it stops
};

// What every workload begins with: a file system on a device full of junk.
struct Base {
    enum class Contents : u8 { kNothing, kSmall };  // just formatted, or Session::populate
    explicit Base(Contents contents);
    Image image;
    Model model;
    u64 journal_end;                   // in lines
    u64 records_until_retirement = 0;  // that fill one journal
    std::string describe(u64 line) const;
    static std::array<u8, 16> uuid();

  private:
    void make(Contents contents);
    void count_records();
    Layout layout_;
};

class Explorer {
  public:
    Explorer(const Base& base, const Limits& limits);

    void run(const Workload& workload);
    // Without operations and lines that a violation does not need.
    Violation minimise(const Workload& workload, const Violation& found);
    // States met so far, by hash.
    const std::unordered_map<u64, u64>& states() const { return states_; }
    const std::vector<Violation>& violations() const { return violations_; }
    bool is_done() const { return violations_.size() >= limits_.violations; }
    u64 judged() const { return judged_; }
    // For mutants of the persist layer.
    void drop(std::function<bool(const host::Event&)> is_dropped);

  private:
    struct Outcome {
        u64 digest = 0;
        std::shared_ptr<const Tree> tree;
        std::string problem;
    };
    // A moment in which the power may go.
    struct Moment {
        std::vector<Step> steps;  // any of them explains what is found
        std::string name;
        u64 fence = 0;
    };
    using Verdicts = std::unordered_map<u64, bool>;

    std::vector<Step> learn(const Workload& workload);
    void cut(const Workload& workload, const std::vector<Step>& steps);
    void run_sequence(const Workload& workload);
    void run_pair(const Workload& workload);
    void run_failing(const Workload& workload);
    // What some operations lead to.
    struct End {
        std::shared_ptr<const Tree> tree;  // null: one of them is refused
        std::shared_ptr<const Unsynced> unsynced = nullptr;
        std::vector<Change> changes = {};
    };
    End serial(const Workload& workload, const std::vector<const Operation*>& last);
    void begin();
    void prepare(Session& session, const Workload& workload);
    void perform(Session& session, const Workload& workload, usize index);

    void look(Pmem& pmem, const Moment& moment, bool in_recovery);
    bool is_legal(Pmem& pmem, const Moment& moment, const std::vector<Line>& lines, u64 hash,
                  Verdicts& verdicts, std::string* why);
    Outcome recover(Pmem& pmem, const std::vector<Line>& lines);
    void cut_recovery(Pmem& pmem, const Moment& moment, const std::vector<Line>& lines);
    void report(Pmem& pmem, const Moment& moment, const std::vector<Pending>& pending,
                std::vector<Line> lines, const std::string& why, bool in_recovery);

    const Base& base_;
    const Limits limits_;
    Pmem pmem_, recovering_;
    std::mt19937_64 random_{1};
    std::unordered_map<u64, u64> states_;  // by hash: the digest of what recovery makes of it
    std::vector<Violation> violations_;
    std::string workload_;
    usize states_at_fence_ = 0;
    u64 judged_ = 0;
    u64 new_states_ = 0;
    u64 runs_ = 0;
};

}  // namespace tarn::crash
