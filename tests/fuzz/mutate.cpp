// SPDX-License-Identifier: GPL-2.0
// mutate DEVICE INPUT|@SEED: writes the image that the target `media` makes of an input to a device or file
// as large as it, for the tools and for the kernel. INPUT is in hexadecimal, as in tests/fuzz/corpus; @SEED
// makes one up: some patches, the checksums made right again where the bits of the seed say so. Operations in
// it are left out.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "tests/fuzz/damage.hpp"

using namespace tarn;
using namespace tarn::test;

namespace {

[[noreturn]] void fail(const std::string& what)
{
    std::fprintf(stderr, "mutate: %s\n", what.c_str());
    std::exit(2);
}

std::vector<u8> input_of_seed(u64 seed)
{
    std::mt19937_64 random(seed);
    const usize patches = 1 + random() % 6;
    std::vector<u8> input(1 + patches * sizeof(Record));
    for (u8& byte : input)
        byte = static_cast<u8>(random());
    for (usize i = 0; i < patches; i++)
        input[1 + i * sizeof(Record)] &= static_cast<u8>(~0x40);  // no operation
    return input;
}

std::vector<u8> input_of(const std::string& text)
{
    if (text[0] == '@')
        return input_of_seed(std::stoull(text.substr(1)));
    std::vector<u8> input(text.size() / 2);
    for (usize i = 0; i < input.size(); i++)
        input[i] = static_cast<u8>(std::stoul(text.substr(i * 2, 2), nullptr, 16));
    return input;
}

u64 blocks_of(int device)
{
    u64 bytes = 0;
    if (ioctl(device, BLKGETSIZE64, &bytes) != 0)
        bytes = static_cast<u64>(lseek(device, 0, SEEK_END));
    return bytes / kBlockSize;
}

void write_image(int device, const std::byte* bytes, u64 length)
{
    for (u64 done = 0; done < length;) {
        const ssize_t n = pwrite(device, bytes + done, length - done, static_cast<off_t>(done));
        if (n <= 0)
            fail(std::string("write: ") + std::strerror(errno));
        done += static_cast<u64>(n);
    }
    if (fsync(device) != 0)
        fail(std::string("fsync: ") + std::strerror(errno));
}

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 3 || !*argv[2])
        fail("usage: mutate DEVICE INPUT|@SEED");
    const int device = open(argv[1], O_RDWR | O_CLOEXEC);
    if (device < 0)
        fail(std::string(argv[1]) + ": " + std::strerror(errno));
    const std::vector<u8> bytes = input_of(argv[2]);
    const Input input = decode_input(bytes.data(), bytes.size());
    TestDevice image(make_base_image(input.flags & 1 ? Base::kCrashed : Base::kSettled, blocks_of(device)));
    const Anatomy anatomy(image);
    for (const Record& record : input.records)
        if (!record.is_operation())
            anatomy.apply(record, image);
    write_image(device, image.bytes(), image.blocks() * kBlockSize);
}
