// SPDX-License-Identifier: GPL-2.0
// Of stress.cpp: a thread that has a slot of each page, and knows what has to be in it.
#pragma once
#include <memory>
#include <random>

#include "stress_stamps.hpp"

namespace stress {

// How often each operation has been done.
void print_done();

// What a worker knows of one of its slots.
struct Record {
    uint64_t last = 0;          // stamp of the last store
    uint64_t other = 0;         // and what may be there instead, when that was cut short
    bool may_be_zero = true;    // whatever the wipes say
    uint32_t ended_before = 0;  // wipes that had ended when the store began
    uint32_t begun_after = 0;   // wipes that had begun when it had returned
};

struct Place {
    long file, page;
};

class Worker {
  public:
    Worker(long number, std::vector<std::unique_ptr<Shared>>& files, int other)
        : number_(number),
          files_(files),
          other_(other),
          random_(static_cast<unsigned long>(number) + 7 * soak())
    {
        for (long file = 0; file < kFiles; file++) {
            records_.emplace_back(kPages);
            map(file);
        }
        sector_ = static_cast<uint64_t*>(aligned_alloc(kPage, kPage));
    }
    ~Worker() { free(sector_); }

    void run(const std::atomic<bool>& stop)
    {
        while (!stop)
            one();
    }
    void forget_mappings() { maps_.clear(); }
    // By write(2), and by read(2), which throws when something is there that cannot be.
    void write(Place at);
    void read(Place at, const char* why);
    // Every slot.
    void check_all();

  private:
    long below(long bound) { return static_cast<long>(random_() % static_cast<unsigned long>(bound)); }
    // Half of the places are near each other, so that workers meet.
    Place some_place() { return {below(kFiles), below(2) ? below(24) + below(3) * 500 : below(kPages)}; }
    long offset_of(Place at) const { return at.page * kPage + number_ * kSlotBytes; }
    int fd_of(Place at) const { return files_[static_cast<size_t>(at.file)]->file.fd; }
    char* slot(Place at) { return maps_[static_cast<size_t>(at.file)]->data + offset_of(at); }
    Record& record(Place at) { return records_[static_cast<size_t>(at.file)][static_cast<size_t>(at.page)]; }
    Wipes& wipes(Place at) { return files_[static_cast<size_t>(at.file)]->wipes_of(at.page, number_); }

    void map(long file);
    void move(long file);
    void one();
    template <class Store>
    void store(Place at, Store how);
    template <class Load>
    void check(Place at, const char* how, Load load);
    void fill_sector(uint64_t word);
    void take(const char* from);

    bool store_of_child(Place at, uint64_t word);
    void write_from_mapping(Place from);
    bool pipe_it(Place at);
    bool direct_out(Place at);

    const long number_;
    std::vector<std::unique_ptr<Shared>>& files_;
    const int other_;  // on another file system, with O_DIRECT
    std::mt19937_64 random_;
    std::vector<std::unique_ptr<Mapping>> maps_ = std::vector<std::unique_ptr<Mapping>>(kFiles);
    std::vector<bool> is_split_ = std::vector<bool>(kFiles);
    std::vector<std::vector<Record>> records_;
    uint64_t stores_ = 0;
    uint64_t* sector_;
};

}  // namespace stress
