// SPDX-License-Identifier: GPL-2.0
// dax GROUP [SEED]: runs the cases of a group.
#include <sys/resource.h>
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include "harness.hpp"

std::vector<Case>& cases()
{
    static std::vector<Case> all;
    return all;
}

void fail(const char* file, int line, const std::string& what)
{
    const char* slash = strrchr(file, '/');
    throw std::runtime_error(std::string(slash ? slash + 1 : file) + ":" + std::to_string(line) + ": " + what);
}

static std::string from_environment(const char* name, const char* otherwise)
{
    const char* value = getenv(name);
    return value ? value : otherwise;
}

const std::string& dir()
{
    static const std::string path = from_environment("DIR", "/mnt");
    return path;
}

void shell(const std::string& command)
{
    if (system(command.c_str()) != 0)
        throw std::runtime_error("failed: " + command);
}

void remount()
{
    shell("umount " + dir() + " && mount -t tarnfs " + from_environment("DEVICE", "/dev/pmem0") + " " + dir());
}

long count(const std::string& name)
{
    std::string path = from_environment("DEVICE", "/dev/pmem0");
    path = "/sys/kernel/debug/tarnfs" + path.substr(path.rfind('/')) + "/dax";
    std::ifstream file(path);
    std::string found;
    for (long value; file >> found >> value;)
        if (found == name)
            return value;
    throw std::runtime_error("no " + name + " in " + path);
}

static thread_local sigjmp_buf* signal_return = nullptr;
static void on_signal(int)
{
    if (!signal_return)
        abort();
    siglongjmp(*signal_return, 1);
}

bool gets_signal(int signal, const std::function<void()>& what)
{
    struct sigaction action = {}, old = {};
    action.sa_handler = on_signal;
    must(sigaction(signal, &action, &old));
    sigjmp_buf back;
    signal_return = &back;
    bool got = sigsetjmp(back, 1) != 0;
    if (!got)
        what();
    signal_return = nullptr;
    must(sigaction(signal, &old, nullptr));
    return got;
}

long faults()
{
    struct rusage usage;
    must(getrusage(RUSAGE_THREAD, &usage));
    return usage.ru_minflt + usage.ru_majflt;
}

long huge_faults()
{
    return count("faults_2m_read") + count("faults_2m_write") + count("faults_2m_mkwrite");
}

Child::Child(const std::function<void()>& what)
{
    fflush(stdout);
    pid = must(fork());
    if (pid)
        return;
    try {
        what();
    } catch (const std::exception& error) {
        fprintf(stderr, "# in a child: %s\n", error.what());
        _exit(1);
    }
    _exit(0);
}

Child::~Child()
{
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
    }
}

void Child::wait()
{
    int status = 0;
    must(waitpid(pid, &status, 0));
    pid = 0;
    if (status != 0)
        throw std::runtime_error("child ended with status " + std::to_string(status));
}

double seconds()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::string pattern(long count, unsigned seed)
{
    std::string bytes(static_cast<size_t>(count), ' ');
    for (size_t i = 0; i < bytes.size(); i++)
        bytes[i] = static_cast<char>('!' + (i * 31 + i / 93 + seed * 7) % 93);
    return bytes;
}

int main(int argc, char** argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s GROUP [part of a case's name]\n", argv[0]);
        return 2;
    }
    bool good = true, any = false;
    for (const Case& one : cases()) {
        if (strcmp(one.group, argv[1]) != 0 || (argc > 2 && !strstr(one.name, argv[2])))
            continue;
        any = true;
        try {
            one.run();
            printf("ok - %s\n", one.name);
        } catch (const std::exception& error) {
            good = false;
            printf("not ok - %s\n# %s\n", one.name, error.what());
        }
        fflush(stdout);
    }
    if (!any)
        printf("not ok - there is a case %s%s%s\n", argv[1], argc > 2 ? ": " : "", argc > 2 ? argv[2] : "");
    return good && any ? 0 : 1;
}
