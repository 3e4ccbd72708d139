// SPDX-License-Identifier: GPL-2.0
#include "core_view.hpp"

#include <cstring>
#include <stdexcept>

#include "fs/file/block_map.hpp"

namespace replay {

using namespace tarn;

namespace {

template <class T>
auto must(Result<T>&& result, const std::string& what)
{
    if (!result)
        throw std::runtime_error(": cannot " + what + ": " + describe(result.error()));
    return result.take();
}

tarn::Bytes bytes_of(const std::string& name)
{
    return tarn::Bytes(reinterpret_cast<const byte*>(name.data()), name.size());
}

}  // namespace

std::unique_ptr<Inode> CoreView::open(InodeNumber number)
{
    const auto place = must(fs_.inodes().find(number), "find inode " + std::to_string(number.value));
    return std::make_unique<Inode>(fs_, number, place.generation, place.record);
}

std::unique_ptr<Inode> CoreView::open(const std::string& path)
{
    auto inode = open(InodeNumber(TARNFS_INO_ROOT));
    const std::string whole = root_ + path;
    for (size_t at = 0; at < whole.size();) {
        const size_t end = std::min(whole.find('/', at), whole.size());
        const std::string name = whole.substr(at, end - at);
        inode = open(must(names().find(*inode, bytes_of(name)), "look up " + path));
        at = end + 1;
    }
    return inode;
}

std::vector<std::string> CoreView::list(const std::string& path)
{
    std::vector<std::string> found;
    auto directory = open(path);
    std::vector<u64> buffer(2048);
    MutableBytes bytes(reinterpret_cast<byte*>(buffer.data()), buffer.size() * sizeof buffer[0]);
    for (u64 cookie = TARN_COOKIE_FIRST;;) {
        const u32 used = must(names().read(*directory, cookie, bytes), "read directory " + path);
        if (used == 0)
            return found;
        for (u32 at = 0; at < used;) {
            const auto& entry = *reinterpret_cast<const tarn_dir_entry*>(bytes.data() + at);
            found.emplace_back(entry.name, entry.length);
            cookie = entry.cookie + 1;
            at += static_cast<u32>(round_up(offsetof(tarn_dir_entry, name) + entry.length, 8));
        }
    }
}

powercut::View::Status CoreView::status(const std::string& path)
{
    const tarnfs_inode record = open(path)->read();
    return {record.mode, record.links, record.size};
}

// Through the block map: what read(2) would deliver.
powercut::Bytes CoreView::contents(const std::string& path)
{
    auto inode = open(path);
    const u64 size = inode->read().size;
    powercut::Bytes bytes(size);
    const BlockMap map(fs_.volume(), inode->tree());
    for (u64 at = 0; at < size;) {
        const u64 blocks = divide_up(size - at, kBlockSize);
        const Mapping mapping = must(map.lookup(nullptr, FileBlock(at / kBlockSize), blocks), "read " + path);
        const u64 length = min(mapping.count * kBlockSize, size - at);
        if (mapping.state == Mapping::State::kWritten)
            std::memcpy(&bytes[at], fs_.media().at(mapping.device), length);
        at += length;
    }
    return bytes;
}

powercut::Bytes CoreView::target(const std::string& path)
{
    auto link = open(path);
    powercut::Bytes bytes(4096);
    const u32 length =
        must(names().read_link(*link, MutableBytes(reinterpret_cast<byte*>(bytes.data()), bytes.size())),
             "read link " + path);
    bytes.resize(length);
    return bytes;
}

std::optional<powercut::Bytes> CoreView::xattr(const std::string& path, const std::string& name)
{
    const std::string in_space = name.substr(name.find('.') + 1);
    auto inode = open(path);
    powercut::Bytes value(TARN_XATTR_VALUE_MAX);
    auto length = names().get_xattr(*inode, TARN_XATTR_USER, bytes_of(in_space),
                                    MutableBytes(reinterpret_cast<byte*>(value.data()), value.size()));
    if (length.error() == Error::kNoXattr)
        return std::nullopt;
    value.resize(must(std::move(length), "tell " + name + " of " + path));
    return value;
}

}  // namespace replay
