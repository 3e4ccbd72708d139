// SPDX-License-Identifier: GPL-2.0
//
// A persistent-memory device that does what a trace says, and what a power cut would leave of it.
//
// Invariants. `now` is what the processors see. `durable` is the least that a power cut leaves: the contents
// that each line had when it was last written back (the bytes that were last stored past the cache), where
// the same processor has fenced since. Where the two differ a line is unsettled: each of its words may
// survive or not, because caches write back whenever they like and the device tears between words of 8 bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "../powercut/model.hpp"
#include "../tracer/trace.h"

namespace replay {

constexpr uint64_t kLine = 64;
constexpr uint64_t kWord = 8;

// What is left after a power cut: a copy of the device that only costs memory where it is changed.
class Image {
  public:
    Image(int fd, uint64_t size);
    ~Image();
    Image(const Image&) = delete;
    Image& operator=(const Image&) = delete;

    uint8_t* bytes() { return bytes_; }
    uint64_t size() const { return size_; }
    void save(const std::string& path) const;

  private:
    uint8_t* bytes_;
    uint64_t size_;
};

// Which of the unsettled lines survive.
enum class Survivors {
    kNone,
    kFew,
    kHalf,
    kMost,
    kTorn,       // of every line some words
    kAllButOne,  // line
    kOnlyOne,
    kJournals,  // those that the journals are in: a record must not say what is not so yet
    kOthers,
};
constexpr int kSurvivorKinds = 9;

class Device {
  public:
    // Begins with what is in a file.
    explicit Device(const std::string& path);
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    void apply(const trace_event& event);
    bool has_unsettled() const { return !unsettled_.empty(); }
    const uint8_t* now() const { return now_; }
    uint64_t size() const { return size_; }
    // What a power cut now would leave. The device may not change while the image is there.
    std::unique_ptr<Image> cut(Survivors survivors, powercut::Random& random) const;

  private:
    // Bytes of a line on their way: those whose bit is set.
    struct Flight {
        uint64_t bytes = 0;
        uint64_t order = 0;
        uint8_t contents[kLine];
    };
    using Flights = std::unordered_map<uint64_t, Flight>;  // by the line's offset

    void store(const trace_event& event);
    void send(unsigned vcpu, uint64_t line, uint64_t bytes);
    void fence(unsigned vcpu);
    void settle(uint64_t line);
    bool is_journal(uint64_t line) const;
    uint64_t surviving_words(uint64_t line, Survivors survivors, uint64_t chosen,
                             powercut::Random& random) const;

    int fd_;  // what is durable
    uint8_t* durable_;
    uint8_t* now_;
    uint64_t size_;
    std::unordered_set<uint64_t> unsettled_;          // lines, by offset
    std::unordered_map<unsigned, Flights> flights_;   // by processor
    std::unordered_map<uint64_t, uint64_t> arrived_;  // by line: the order of what is durable
    uint64_t order_ = 0;
    uint64_t journals_begin_ = 0, journals_end_ = 0;
};

}  // namespace replay
