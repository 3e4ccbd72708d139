// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/workers.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace tarn::crash {

namespace {

// What a worker tells its parent, in memory that both see.
struct Report {
    u64 states;
    u64 judged;
    u64 workloads;
    u64 violations;
    char workload[4000];  // the one it is at
};

u64 seconds_since(std::chrono::steady_clock::time_point start)
{
    return static_cast<u64>(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start).count());
}

class Worker {
  public:
    Worker(const Base& base, const Plan& plan, unsigned number, Report& report, FILE* hashes)
        : base_(base),
          plan_(plan),
          number_(number),
          report_(report),
          hashes_(hashes),
          explorer_(base, limits(plan))
    {
    }

    void work()
    {
        first_mount();
        u64 index = 0;
        for (const Workload& workload : fixed_workloads(base_, plan_.thorough))
            if (index++ % plan_.jobs == number_)
                run(workload);
        // Half of a worker's share is met by another one too, at most.
        const u64 enough = plan_.states / plan_.jobs + plan_.states / 20;
        for (u64 at = number_; !explorer_.is_done(); at += plan_.jobs) {
            if (at >= kLeastSequences &&
                (!plan_.only.empty() || is_late() || explorer_.states().size() >= enough))
                break;
            run(random_workload(base_, plan_.seed, at));
        }
        for (const auto& [hash, outcome] : explorer_.states())
            std::fwrite(&hash, sizeof hash, 1, hashes_);
        std::fflush(hashes_);
    }

  private:
    static constexpr u64 kLeastSequences = 40;

    static Limits limits(const Plan& plan)
    {
        Limits limits;
        if (plan.thorough > 1) {
            limits.states *= 4;
            limits.recovery_every /= 4;
            limits.recovery_states *= 4;
        }
        return limits;
    }

    // Behind mkfs: the journals' first slots are replaced one at a time.
    void first_mount()
    {
        if (number_ != 0 || !plan_.only.empty())
            return;
        const Base empty(Base::Contents::kNothing);
        Explorer explorer(empty, Limits());
        explorer.run({.operations = {&operation("mkdir /k")}});
        report_.workloads++;
        report_.violations += explorer.violations().size();
        for (const Violation& violation : explorer.violations())
            print(violation);
    }

    bool is_late() const { return seconds_since(start_) >= plan_.seconds; }

    void run(const Workload& workload)
    {
        const std::string name = workload.name();
        if (explorer_.is_done() || (!plan_.only.empty() && name.find(plan_.only) == std::string::npos))
            return;
        std::snprintf(report_.workload, sizeof report_.workload, "%s", name.c_str());
        const usize before = explorer_.violations().size();
        explorer_.run(workload);
        report_.workloads++;
        report_.states = explorer_.states().size();
        report_.judged = explorer_.judged();
        if (explorer_.violations().size() == before)
            return;
        report_.violations++;
        print(explorer_.minimise(workload, explorer_.violations()[before]));
    }

    void print(const Violation& violation)
    {
        std::string text = "VIOLATION in: " + violation.workload + "\n  at: " + violation.where + "\n  " +
                           violation.what + "\n  not as new as possible:\n";
        for (usize i = 0; i < violation.lost.size(); i++)
            if (i < 8 || i + 1 == violation.lost.size())
                text += "    " + violation.lost[i] + "\n";
        if (violation.lost.size() > 9)
            text += "    (" + std::to_string(violation.lost.size()) + " in all)\n";
        std::fputs(text.c_str(), stdout);
        std::fflush(stdout);
    }

    const Base& base_;
    const Plan& plan_;
    const unsigned number_;
    Report& report_;
    FILE* hashes_;
    Explorer explorer_;
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

u64 count_different(const std::vector<FILE*>& files)
{
    std::vector<u64> all;
    for (FILE* file : files) {
        std::rewind(file);
        for (u64 hash; std::fread(&hash, sizeof hash, 1, file) == 1;)
            all.push_back(hash);
        std::fclose(file);
    }
    std::sort(all.begin(), all.end());
    return static_cast<u64>(std::unique(all.begin(), all.end()) - all.begin());
}

}  // namespace

Found explore(const Base& base, const Plan& plan)
{
    auto* reports = static_cast<Report*>(
        mmap(nullptr, sizeof(Report) * plan.jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    if (reports == MAP_FAILED)
        throw std::runtime_error("no memory");
    std::vector<FILE*> files;
    std::vector<pid_t> workers;
    for (unsigned number = 0; number < plan.jobs; number++) {
        files.push_back(std::tmpfile());
        std::fflush(nullptr);
        workers.push_back(fork());
        if (workers.back() == 0) {
            Worker(base, plan, number, reports[number], files[number]).work();
            _exit(0);
        }
    }
    Found found;
    u64 judged = 0;
    for (unsigned number = 0; number < plan.jobs; number++) {
        int status = 0;
        waitpid(workers[number], &status, 0);
        found.violations += reports[number].violations;
        found.workloads += reports[number].workloads;
        judged += reports[number].judged;
        if (status != 0) {
            std::printf("VIOLATION: the core ended the process (status %#x) in: %s\n", status,
                        reports[number].workload);
            found.violations++;
        }
    }
    munmap(reports, sizeof(Report) * plan.jobs);
    found.states = count_different(files);
    std::printf("%llu workloads, %llu states judged, %llu different\n", found.workloads, judged,
                found.states);
    return found;
}

}  // namespace tarn::crash
