// SPDX-License-Identifier: GPL-2.0
// Processes of one's own, for what may end in any way.
#pragma once
#include <cstdio>
#include <functional>
#include <string>

namespace tarn::test {

// Runs `body` in a process of its own and returns what it printed to its stream; `status` as of waitpid.
std::string in_child(int* status, const std::function<void(FILE*)>& body);

}  // namespace tarn::test
