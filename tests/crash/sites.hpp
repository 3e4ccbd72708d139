// SPDX-License-Identifier: GPL-2.0
// Where in the core a persist call comes from: the source line of the first caller that is not a wrapper.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cxxrt/host/host.hpp"

namespace tarn::crash {

class Sites {
  public:
    // To be called by an observer of the device: remembers who calls.
    void note(const host::Event& event);
    // Finds the lines of all that were noted. Slow.
    void resolve();
    // As "write-back at fs/txn/record.cpp:86"; to be called by an observer, behind resolve(). Empty: never
    // noted.
    std::string of(const host::Event& event) const;
    std::set<std::string> all() const { return all_; }
    // Persist calls in the core's sources that were never noted, as "fs/txn/record.cpp:86: ...".
    std::vector<std::string> missing() const;

  private:
    std::string label(int kind, const std::vector<void*>& callers) const;

    std::set<std::pair<int, std::vector<void*>>> noted_;
    std::map<void*, std::string> lines_;  // by return address; empty: a wrapper
    std::set<std::string> all_;
    std::set<std::string> places_;  // "fs/txn/record.cpp:86", wrappers and all
};

}  // namespace tarn::crash
