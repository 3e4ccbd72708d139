// SPDX-License-Identifier: GPL-2.0
// A formatted device, mounted, with one file and the address space to map it in. At the end the file system must check.
#pragma once
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>

#include "tests/host/support/durable.hpp"
#include "fs/file/file.hpp"
#include "tests/host/support/fake_mm.hpp"
#include "tests/host/support/populated.hpp"

namespace tarn::test {

class FileTest : public testing::Test {
  protected:
    explicit FileTest(u64 blocks = 4096) : device(blocks), mm(device), fs(std::make_unique<FakeFs>(device))
    {
        host::pretend_cpu(0);  // one journal: how many fences something takes is always the same
        file = fs->create(mm, "file");
    }
    ~FileTest() override
    {
        host::pretend_cpu(-1);
        file.reset();
        fs.reset();
        EXPECT_EQ(check_as_is(device).text(), "");
    }

    // What is left when the power goes now, with everything not fenced lost.
    static std::string contents_after_crash(const DurableImage& image, const std::string& name = "file")
    {
        return contents_of_image(image.bytes(), name);
    }
    static std::string contents_of_image(const std::vector<std::byte>& image, const std::string& name = "file")
    {
        MmPause pause;
        LogCapture log;  // what recovery says
        TestDevice crashed(image);
        FakeMm its_mm(crashed);
        std::string contents;
        {
            FakeFs its_fs(crashed, FakeFs::How::kMount);
            contents = its_fs.open(its_mm, name)->contents();
        }
        EXPECT_EQ(check_as_is(crashed).text(), "");
        return contents;
    }
    void remount()
    {
        file.reset();
        fs.reset();
        fs = std::make_unique<FakeFs>(device, FakeFs::How::kMount);
        file = fs->open(mm, "file");
    }

    static std::string pattern(u64 length, char first = 'a')
    {
        std::string text(length, ' ');
        for (u64 i = 0; i < length; i++)
            text[i] = static_cast<char>(first + (i * 7 + i / 26) % 26);
        return text;
    }
    static std::string zeroes(u64 length) { return std::string(length, '\0'); }

    TestDevice device;
    FakeMm mm;
    std::unique_ptr<FakeFs> fs;
    std::unique_ptr<FakeFile> file;
};

}  // namespace tarn::test
