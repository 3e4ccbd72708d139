// SPDX-License-Identifier: GPL-2.0
#include "tests/interleave/child.hpp"

#include <sys/wait.h>
#include <unistd.h>

namespace tarn::test {

std::string in_child(int* status, const std::function<void(FILE*)>& body)
{
    FILE* output = std::tmpfile();
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        body(output);
        std::fflush(output);
        _exit(0);
    }
    waitpid(child, status, 0);
    std::rewind(output);
    std::string text;
    char line[4096];
    while (std::fgets(line, sizeof line, output))
        text += line;
    std::fclose(output);
    return text;
}

}  // namespace tarn::test
