// SPDX-License-Identifier: GPL-2.0
// What the target `media` starts from, and how an input damages it.
//
// The images hold something of everything. An input is a byte of flags and records of 8 bytes, each a patch
// or an operation (bit 6 of the first byte; media.cpp does those). A patch names a structure by kind and
// index, not by offset, so that inputs stay meaningful when the layout changes a little; and it may make the
// checksum right again, so that what is behind the checksums is reached.
#pragma once
#include <vector>

#include "tests/host/support/device.hpp"

namespace tarn::test {

inline constexpr u64 kImageBlocks = 4096;  // 16 MiB

// A populated file system on a device of so many blocks. kSettled: unmounted, with an orphan. kCrashed: with
// records in the journals that have to be replayed.
enum class Base : u8 { kSettled, kCrashed };
std::vector<std::byte> make_base_image(Base base, u64 blocks = kImageBlocks);

struct Record {
    u8 kind;
    u8 index;
    u16 offset;
    u8 action;
    u8 a;
    u8 b;
    u8 c;

    bool is_operation() const { return kind & 0x40; }
    u32 number() const { return a | u32{b} << 8 | u32{c} << 16; }
};
static_assert(sizeof(Record) == 8);

struct Input {
    u8 flags = 0;
    std::vector<Record> records;  // the first ones: what is behind the bounds is ignored
};
Input decode_input(const u8* data, usize size);

// The structures of an image, found once.
class Anatomy {
  public:
    explicit Anatomy(TestDevice& image);
    // Stores what the patch says to `device`, which holds the image (and earlier patches).
    void apply(const Record& patch, TestDevice& device) const;

  private:
    enum class Kind : u8 {
        kSuperblock,
        kSlot,
        kRecord,
        kInode,
        kRoot,
        kNode,
        kItem,
        kBitmap,
        kAnything,
        kKinds,
    };
    struct Piece {
        u64 offset;  // on the device
        u64 bytes;
    };
    struct Sealed {  // something with a checksum over all of it
        Piece piece;
        u64 crc_at;
        bool is_record;
    };
    void find_fixed(TestDevice& image);
    void find_records(TestDevice& image, u64 first_block, u64 ring_bytes);
    void find_in_block(TestDevice& image, u64 block);
    void find_items(TestDevice& image, Piece node, u64 header);
    void add(Kind kind, u64 offset, u64 bytes)
    {
        pieces_[static_cast<usize>(kind)].push_back({offset, bytes});
    }
    void add_sealed(Kind kind, u64 offset, u64 bytes, u64 crc_at = 4);
    static void seal(TestDevice& device, u64 offset, const std::vector<Sealed>& sealed);

    std::vector<Piece> pieces_[static_cast<usize>(Kind::kKinds)];
    std::vector<Sealed> sealed_;
};

}  // namespace tarn::test
