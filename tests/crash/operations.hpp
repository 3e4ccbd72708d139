// SPDX-License-Identifier: GPL-2.0
// The operations that workloads are made of. Adding one is adding a row to the table in operations.cpp.
#pragma once
#include <vector>

#include "tests/crash/session.hpp"

namespace tarn::crash {

struct Operation {
    const char* name;
    void (*run)(Session& session);
};
const std::vector<Operation>& operations();
// Outside of the table, for being long or for one purpose only. Many extents of /k, so that freeing them
// takes several steps; as many as make its root a node of its own, and so many more that a line of that node
// is full; the last free inode numbers of the chunks there are, and of the first group.
extern const Operation kFragment;
extern const Operation kScatter, kScatterMore, kScatterMoreAndFreeze;
extern const Operation kHoardChunk, kHoardGroup;
// By name; throws when there is none.
const Operation& operation(const std::string& name);

}  // namespace tarn::crash
