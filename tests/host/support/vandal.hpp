// SPDX-License-Identifier: GPL-2.0
// Vandal: damage at random, the same for equal seeds, and which blocks are worth it.
#pragma once
#include <cstring>
#include <deque>
#include <random>
#include <vector>

#include "tests/host/support/populated.hpp"

namespace tarn::test {

// Damages a device, remembers what was there, and puts it back.
class Vandal {
  public:
    Vandal(TestDevice& device, std::vector<u64> blocks, u64 seed)
        : device_(device), blocks_(std::move(blocks)), random_(seed)
    {
    }

    void strike()
    {
        const u64 block = blocks_[random_() % blocks_.size()];
        saved_.emplace_back(block,
                            std::vector<std::byte>(device_.block(block), device_.block(block) + kBlockSize));
        auto* bytes = reinterpret_cast<unsigned char*>(device_.block(block));
        switch (random_() % 4) {
            case 0: bytes[random_() % kBlockSize] ^= static_cast<unsigned char>(1u << random_() % 8); break;
            case 1: store_number<u16>(bytes); break;
            case 2: store_number<u32>(bytes); break;
            default: store_number<u64>(bytes); break;
        }
        if (random_() % 2)
            forge_checksums(block);
    }
    void undo()
    {
        for (; !saved_.empty(); saved_.pop_back())
            std::memcpy(device_.block(saved_.back().first), saved_.back().second.data(), kBlockSize);
    }

  private:
    template <class T>
    void store_number(unsigned char* bytes)
    {
        const u64 numbers[] = {0, 1, ~u64{0}, u64{1} << 63, random_(), random_() % 5000, random_() % 128};
        const T value = static_cast<T>(numbers[random_() % std::size(numbers)]);
        std::memcpy(bytes + random_() % (kBlockSize / sizeof value) * sizeof value, &value, sizeof value);
    }
    // So that what a checksum guards is looked at as well.
    void forge_checksums(u64 block)
    {
        auto& super = device_.at<tarnfs_superblock>(block);
        if (super.magic == TARNFS_SUPER_MAGIC)
            super.crc = structure_crc(&super, sizeof super, offsetof(tarnfs_superblock, crc));
        for (u64 slot = 0; slot < TARNFS_JOURNAL_SLOTS; slot++) {
            auto& journal = device_.at<tarnfs_journal_slot>(block, slot * sizeof(tarnfs_journal_slot));
            if (journal.magic == TARNFS_JOURNAL_MAGIC)
                journal.crc = structure_crc(&journal, sizeof journal, offsetof(tarnfs_journal_slot, crc));
        }
        for (u64 slot = 0; slot < TARNFS_INODES_PER_BLOCK; slot++) {
            auto& inode = device_.at<tarnfs_inode>(block, slot * TARNFS_INODE_BYTES);
            if (inode.magic == TARNFS_INODE_MAGIC)
                TestFileSystem::seal(inode);
        }
    }

    TestDevice& device_;
    std::vector<u64> blocks_;
    std::mt19937_64 random_;
    std::deque<std::pair<u64, std::vector<std::byte>>> saved_;
};

inline bool looks_like_metadata(TestDevice& device, u64 block)
{
    const auto& bitmap = device.at<tarnfs_bitmap>(block);
    const auto& node = device.at<tarnfs_block_node>(block);
    if (bitmap.magic == TARNFS_BITMAP_MAGIC || (node.node.magic == TARNFS_NODE_MAGIC && node.self == block))
        return true;
    for (u64 slot = 0; slot < TARNFS_INODES_PER_BLOCK; slot++)
        if (device.at<tarnfs_inode>(block, slot * TARNFS_INODE_BYTES).magic == TARNFS_INODE_MAGIC)
            return true;
    return false;
}

// Everything but journal rings and file contents. Small structures count several times.
inline std::vector<u64> metadata_blocks(TestDevice& device)
{
    Media media(device.device());
    const Layout layout = read_layout(media).take();
    std::vector<u64> blocks;
    for (int i = 0; i < 3; i++)
        for (u64 block : {u64{0}, layout.replica().value, layout.system_block.value, layout.journal(0).value,
                          layout.bitmap(0).value})
            blocks.push_back(block);
    for (u64 block = layout.first_data.value; block < layout.blocks; block++)
        if (looks_like_metadata(device, block))
            blocks.push_back(block);
    return blocks;
}

inline std::vector<u64> journal_blocks(TestDevice& device)
{
    Media media(device.device());
    const Layout layout = read_layout(media).take();
    std::vector<u64> blocks;
    for (u32 journal = 0; journal < layout.journals; journal++)
        for (u64 i = 0; i < layout.journal_blocks; i++)
            blocks.push_back((layout.journal(journal) + i).value);
    return blocks;
}

}  // namespace tarn::test
