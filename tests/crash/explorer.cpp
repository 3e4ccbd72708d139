// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/explorer.hpp"

#include <algorithm>
#include <cstring>

#include "fs/media/format.hpp"
#include "tests/crash/states.hpp"

namespace tarn::crash {

namespace {

constexpr int kPairProcessors[2] = {0, 2};
constexpr s64 kEpoch = 2000;
constexpr u64 kDamaged = 1;  // for the digest of a state that cannot be mounted or is not consistent

FormatOptions options()
{
    FormatOptions options;
    const auto uuid = Base::uuid();
    std::memcpy(options.uuid, uuid.data(), uuid.size());
    options.blocks = kFirstBlocks;
    options.journals = 3;
    options.hash_seed[0] = 0x0706050403020100;
    options.hash_seed[1] = 0x0f0e0d0c0b0a0908;
    options.created = 1000;
    return options;
}

}  // namespace

std::string Workload::name() const
{
    std::string name;
    for (usize i = 0; i < operations.size(); i++) {
        const bool beside = is_pair && i + 1 == operations.size();
        name += (i == 0 ? "" : beside ? " | " : "; ") + std::string(operations[i]->name);
    }
    if (records)
        name = "(" + std::to_string(records) + " records); " + name;
    if (failing)
        name += ", whose fence " + std::to_string(failing) + " fails";
    if (is_pair)
        name += ", changing over after " + std::to_string(schedule.first_calls) + " and " +
                std::to_string(schedule.second_calls) + " calls";
    return name;
}

// ---- the base

std::array<u8, 16> Base::uuid()
{
    std::array<u8, 16> uuid;
    for (u8 i = 0; i < uuid.size(); i++)
        uuid[i] = static_cast<u8>(0xa0 + i);
    return uuid;
}

Base::Base(Contents contents) : image(kBlocks)
{
    host::set_log_sink([](void*, tarn_log_level, const char*) {}, nullptr);
    host::pretend_cpu(0);
    host::seed_random(1);
    make(contents);
    if (contents == Contents::kSmall)
        count_records();
}

// An operation that retires fences more than once.
void Base::count_records()
{
    Pmem pmem(image);
    u64 fences = 0;
    pmem.at_fence = [&] { fences++; };
    Session session(pmem, model);
    for (u64 before = fences; fences <= before + 1; records_until_retirement++) {
        before = fences;
        session.chmod("/f", 0600 + records_until_retirement % 2, 1);
    }
}

void Base::make(Contents contents)
{
    std::memset(image.bytes(), 0xee, kBlocks * kBlockSize);
    Pmem pmem(image);
    Media media(pmem.device());
    layout_ = format(media, options(), FormatProgress{}).take();
    journal_end = layout_.bitmap_start.value * (kBlockSize / kLineSize);
    if (contents == Contents::kSmall) {
        Session session(pmem, Model());
        session.populate();
        model = session.model();
        session.mounted().close();
    }
    std::memcpy(image.bytes(), pmem.device().base, kBlocks * kBlockSize);
}

std::string Base::describe(u64 line) const
{
    const u64 block = line / (kBlockSize / kLineSize);
    const std::string place = "line " + std::to_string(line) + " (";
    const std::string at = ", byte " + std::to_string(line * kLineSize % kBlockSize) + " of block " +
                           std::to_string(block) + ")";
    if (block < layout_.journal_start.value)
        return place + "superblock or system block" + at;
    if (block < layout_.bitmap_start.value) {
        const u64 journal = (block - layout_.journal_start.value) / layout_.journal_blocks;
        const bool slot = layout_.journal(static_cast<u32>(journal)).value == block;
        return place + "journal " + std::to_string(journal) + (slot ? " slot" : " record") + at;
    }
    if (block < layout_.first_data.value)
        return place + "block bitmap" + at;
    return place + (block < layout_.first_data.value + kFirstTableBlocks ? "inode table" : "data or tree") +
           at;
}

// ---- running

Explorer::Explorer(const Base& base, const Limits& limits)
    : base_(base), limits_(limits), pmem_(base.image), recovering_(base.image)
{
}

void Explorer::drop(std::function<bool(const host::Event&)> is_dropped)
{
    pmem_.is_dropped = is_dropped;
    recovering_.is_dropped = is_dropped;
}

// Fills journals: the one in use up to `records`, the idle ones with a few, not in place yet.
void Explorer::prepare(Session& session, const Workload& workload)
{
    session.set_now(kEpoch);
    for (int processor : {2, 1, 0}) {
        host::pretend_cpu(processor);
        const u64 records = processor == 0 ? workload.records : workload.records || workload.is_pair ? 3 : 0;
        for (u64 i = 0; i < records; i++)
            session.chmod(processor ? "/e" : "/f", 0700 + static_cast<u32>((i + records) % 2), 1);
    }
}

void Explorer::perform(Session& session, const Workload& workload, usize index)
{
    host::pretend_cpu(workload.moves ? static_cast<int>((index + 1) % 3) : 0);
    session.set_now(kEpoch + 1 + static_cast<s64>(index));
    workload.operations[index]->run(session);
}

void Explorer::run(const Workload& workload)
{
    workload_ = workload.name();
    states_at_fence_ = workload.states ? workload.states : limits_.states;
    random_.seed(std::hash<std::string>()(workload_));
    const usize before = violations_.size();
    try {
        workload.is_pair   ? run_pair(workload)
        : workload.failing ? run_failing(workload)
                           : run_sequence(workload);
        if (runs_++ % 64 == 0 && !pmem_.is_exact())
            throw std::runtime_error("something was stored that the persist layer was not told of");
    } catch (const std::exception& error) {
        if (violations_.size() == before)
            violations_.push_back({workload_, "while running", error.what(), {}});
    }
    pmem_.at_fence = pmem_.at_call = nullptr;
    pmem_.is_failing = nullptr;
    host::pretend_cpu(0);
}

void Explorer::begin()
{
    pmem_.reset();
    host::seed_random(1);
    host::pretend_cpu(0);
}

void Explorer::run_sequence(const Workload& workload) { cut(workload, learn(workload)); }

// What each operation leads to; compared with the model.
std::vector<Step> Explorer::learn(const Workload& workload)
{
    std::vector<Step> steps;
    begin();
    Session session(pmem_, base_.model);
    prepare(session, workload);
    auto tree = std::make_shared<const Tree>(session.mounted().tree());
    for (usize i = 0; i < workload.operations.size(); i++) {
        Step step{tree, nullptr, session.model().unsynced()};
        perform(session, workload, i);
        tree = std::make_shared<const Tree>(session.mounted().tree());
        if (!tree->same_but_times(session.model().tree()))
            throw std::runtime_error(std::string(workload.operations[i]->name) + " does something else:\n" +
                                     tree->text() + "wanted:\n" + session.model().tree().text());
        step.after = tree;
        step.changes = session.take_changes();
        step.still_unsynced = session.model().unsynced();
        steps.push_back(std::move(step));
    }
    steps.push_back({tree, tree, session.model().unsynced()});
    return steps;
}

void Explorer::cut(const Workload& workload, const std::vector<Step>& steps)
{
    begin();
    Moment mounting{{{steps[0].before, steps[0].before}}, "mount", 0};
    if (workload.quiet == 0 && workload.records == 0)
        pmem_.at_fence = [&] {
            mounting.fence++;
            look(pmem_, mounting, false);
        };
    Session session(pmem_, base_.model);
    pmem_.at_fence = nullptr;
    prepare(session, workload);
    for (usize i = 0; i < workload.operations.size() && !is_done(); i++) {
        Moment moment{{steps[i]}, workload.operations[i]->name, 0};
        if (i >= workload.quiet)
            pmem_.at_fence = [&] {
                moment.fence++;
                look(pmem_, moment, false);
            };
        perform(session, workload, i);
        pmem_.at_fence = nullptr;
        if (i < workload.quiet)
            continue;
        const Step& next = steps[i + 1];
        moment.steps = {{next.before, next.before, next.unsynced}};
        moment.name += ", returned";
        look(pmem_, moment, false);
    }
}

// ---- two processors

// `last`, one after another, behind the operations before the pair.
Explorer::End Explorer::serial(const Workload& workload, const std::vector<const Operation*>& last)
{
    begin();
    Session session(pmem_, base_.model);
    prepare(session, workload);
    for (usize i = 0; i + 2 < workload.operations.size(); i++)
        perform(session, workload, i);
    session.take_changes();
    const Operation* second = workload.operations.back();
    for (const Operation* each : last) {
        host::pretend_cpu(kPairProcessors[each == second]);
        session.set_now(kEpoch + 100 + (each == second));
        session.take_done();
        each->run(session);
        if (!session.take_done())
            return {};
    }
    return {std::make_shared<const Tree>(session.mounted().tree()), session.model().unsynced(),
            session.take_changes()};
}

void Explorer::run_pair(const Workload& workload)
{
    const Operation* a = workload.operations[workload.operations.size() - 2];
    const Operation* b = workload.operations.back();
    const End none = serial(workload, {}), only_a = serial(workload, {a}), only_b = serial(workload, {b}),
              ab = serial(workload, {a, b}), ba = serial(workload, {b, a});
    if (!only_a.tree || !only_b.tree || !ab.tree || !ba.tree)
        return;
    std::vector<Change> both = only_a.changes;
    both.insert(both.end(), only_b.changes.begin(), only_b.changes.end());

    begin();
    Session session(pmem_, base_.model);
    prepare(session, workload);
    for (usize i = 0; i + 2 < workload.operations.size(); i++)
        perform(session, workload, i);
    enum class State { kBefore, kRunning, kReturned } state[2] = {State::kBefore, State::kBefore};
    Moment moment;
    auto may = [&](int who, bool done) {
        return done ? state[who] != State::kBefore : state[who] != State::kReturned;
    };
    auto explain = [&] {
        moment.steps.clear();
        auto step = [&](const End& from, const End& to, const std::vector<Change>& changes) {
            moment.steps.push_back({from.tree, to.tree, from.unsynced, changes, to.unsynced});
        };
        if (may(0, false) && may(1, false))
            step(none, none, {});
        if (may(0, true) && may(0, false) && may(1, false))
            step(none, only_a, only_a.changes);
        if (may(0, false) && may(1, true) && may(1, false))
            step(none, only_b, only_b.changes);
        if (may(0, true) && may(1, false))
            step(only_a, only_a, {});
        if (may(0, false) && may(1, true))
            step(only_b, only_b, {});
        if (may(0, true) && may(1, true)) {
            for (const End& end : {ab, ba}) {
                step(end, end, {});
                if (may(1, false))
                    step(only_a, end, only_b.changes);
                if (may(0, false))
                    step(only_b, end, only_a.changes);
                if (may(0, false) && may(1, false) && !both.empty())
                    step(none, end, both);
            }
        }
    };
    pmem_.at_call = count_call;
    pmem_.at_fence = [&] {
        explain();
        moment.name = std::string("fence of processor ") + std::to_string(tarn_cpu_current());
        moment.fence++;
        if (!is_done())
            look(pmem_, moment, false);
    };
    auto body = [&](int who, const Operation& operation) {
        host::pretend_cpu(kPairProcessors[who]);
        state[who] = State::kRunning;
        session.set_now(kEpoch + 100 + who);
        operation.run(session);
        state[who] = State::kReturned;
    };
    interleave(
        workload.schedule, [&] { body(0, *a); }, [&] { body(1, *b); });
    pmem_.at_fence = pmem_.at_call = nullptr;
    host::pretend_cpu(0);
    explain();
    moment.name = "both returned";
    look(pmem_, moment, false);
}

// ---- a fence that fails

// Nothing is lost yet: what was stored is still seen by the next mount, on another processor. But it may be
// lost while that mount makes its first changes.
void Explorer::run_failing(const Workload& workload)
{
    const std::vector<Step> steps = learn(workload);
    const usize last = workload.operations.size() - 1;
    begin();
    Session session(pmem_, base_.model);
    prepare(session, workload);
    for (usize i = 0; i < last; i++)
        perform(session, workload, i);
    u64 fences = 0;
    bool has_failed = false;
    pmem_.is_failing = [&] { return ++fences == workload.failing; };
    try {
        perform(session, workload, last);
    } catch (const std::exception&) {
        has_failed = true;
    }
    pmem_.is_failing = nullptr;
    if (fences < workload.failing)
        return;
    Moment moment{{steps[last]}, "the next mount", 0};
    if (!has_failed)
        moment.steps = {steps[last + 1]};
    session.abandon();
    host::pretend_cpu((static_cast<int>(tarn_cpu_current()) + 1) % 3);
    pmem_.at_fence = [&] {
        moment.fence++;
        if (!is_done())
            look(pmem_, moment, false);
    };
    Mount mount(pmem_.device());
    mount.close();
    pmem_.at_fence = nullptr;
    moment.name = "unmounted again";
    look(pmem_, moment, false);
}

// ---- looking

Explorer::Outcome Explorer::recover(Pmem& pmem, const std::vector<Line>& lines)
{
    Outcome outcome;
    const auto processor = static_cast<int>(tarn_cpu_current());
    host::pretend_cpu(0);
    const tarn_device& device = pmem.enter(lines);
    try {
        Mount mount(device);
        outcome.tree = std::make_shared<const Tree>(mount.tree());
        outcome.problem = mount.check();
    } catch (const std::exception& error) {
        outcome.problem = error.what();
    }
    pmem.leave();
    host::pretend_cpu(processor);
    outcome.digest = outcome.problem.empty() ? outcome.tree->digest() | 2 : kDamaged;
    return outcome;
}

bool Explorer::is_legal(Pmem& pmem, const Moment& moment, const std::vector<Line>& lines, u64 hash,
                        Verdicts& verdicts, std::string* why)
{
    judged_++;
    auto known = states_.find(hash);
    if (known != states_.end()) {
        auto verdict = verdicts.find(known->second);
        if (verdict != verdicts.end() && (verdict->second || !why))
            return verdict->second;
    }
    const Outcome outcome = recover(pmem, lines);
    states_[hash] = outcome.digest;
    std::string wrong = outcome.problem;
    if (wrong.empty()) {
        for (const Step& step : moment.steps) {
            wrong = judge(*outcome.tree, step);
            if (wrong.empty())
                break;
        }
    }
    verdicts[outcome.digest] = wrong.empty();
    if (why)
        *why = wrong;
    return wrong.empty();
}

void Explorer::look(Pmem& pmem, const Moment& moment, bool in_recovery)
{
    const std::vector<Pending> pending = pmem.pending();
    std::unordered_map<u64, u64> durable;  // by line: its share in the hash
    for (const Pending& line : pending)
        durable[line.number] = Pmem::hash_of(line.number, line.durable);
    Verdicts verdicts;
    const usize limit = in_recovery ? limits_.recovery_states : states_at_fence_;
    for_each_state(pending, limit, base_.journal_end, random_, [&](const std::vector<Line>& lines) {
        if (is_done())
            return;
        u64 hash = pmem.hash();
        for (const Line& line : lines)
            hash ^= durable[line.number] ^ Pmem::hash_of(line.number, line.bytes);
        const bool is_new = !states_.count(hash);
        std::string why;
        if (!is_legal(pmem, moment, lines, hash, verdicts, &why))
            report(pmem, moment, pending, lines, why, in_recovery);
        else if (is_new && !in_recovery && new_states_++ % limits_.recovery_every == 0)
            cut_recovery(pmem, moment, lines);
    });
}

// The power goes again while a state is recovered, and when the file system is closed behind that.
void Explorer::cut_recovery(Pmem& pmem, const Moment& moment, const std::vector<Line>& lines)
{
    const auto processor = static_cast<int>(tarn_cpu_current());
    host::pretend_cpu(0);
    recovering_.load(pmem, lines);
    Moment inner = moment;
    recovering_.at_fence = [&] {
        inner.fence++;
        look(recovering_, inner, true);
    };
    inner.name += ", fence " + std::to_string(moment.fence) + ", then its recovery";
    inner.fence = 0;
    try {
        Mount mount(recovering_.device());
        mount.close();
        inner.fence++;
        recovering_.at_fence = nullptr;
        look(recovering_, inner, true);
    } catch (const std::exception& error) {
        violations_.push_back({workload_, inner.name, error.what(), {}});
    }
    recovering_.at_fence = nullptr;
    host::pretend_cpu(processor);
}

// Says which lines it takes: puts back what need not be lost.
void Explorer::report(Pmem& pmem, const Moment& moment, const std::vector<Pending>& pending,
                      std::vector<Line> lines, const std::string& why, bool)
{
    Violation violation{workload_, moment.name + ", fence " + std::to_string(moment.fence), why, {}};
    std::map<u64, LineBytes> state;
    for (const Line& line : lines)
        state[line.number] = line.bytes;
    auto wrong_with = [&](const std::map<u64, LineBytes>& tried) {
        std::vector<Line> all;
        for (const auto& [number, bytes] : tried)
            all.push_back({number, bytes});
        const Outcome outcome = recover(pmem, all);
        if (!outcome.problem.empty())
            return outcome.problem;
        std::string wrong;
        for (const Step& step : moment.steps)
            if (wrong = judge(*outcome.tree, step); wrong.empty())
                break;
        return wrong;
    };
    for (const Pending& line : pending) {
        auto now = state.find(line.number);
        if (now != state.end() && now->second == line.newer.back())
            continue;
        auto tried = state;
        tried[line.number] = line.newer.back();
        if (std::string still = wrong_with(tried); !still.empty()) {
            state = std::move(tried);
            violation.what = still;
            continue;
        }
        violation.lost.push_back(
            base_.describe(line.number) +
            (now == state.end() || now->second == line.durable ? "" : ", torn or older"));
    }
    violations_.push_back(std::move(violation));
}

// Leaves out operations one by one while something stays wrong.
Violation Explorer::minimise(const Workload& workload, const Violation& found)
{
    Violation best = found;
    Workload shortest = workload;
    Limits limits = limits_;
    limits.violations = 1;
    for (usize i = shortest.operations.size(); i-- > 0;) {
        if (shortest.operations.size() <= (shortest.is_pair ? 2u : 1u) ||
            (shortest.is_pair && i + 2 >= shortest.operations.size()))
            continue;
        Workload tried = shortest;
        tried.operations.erase(tried.operations.begin() + static_cast<long>(i));
        tried.quiet = 0;
        Explorer again(base_, limits);
        again.drop(pmem_.is_dropped);
        again.run(tried);
        if (again.violations().empty())
            continue;
        shortest = tried;
        best = again.violations()[0];
    }
    return best;
}

}  // namespace tarn::crash
