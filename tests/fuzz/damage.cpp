// SPDX-License-Identifier: GPL-2.0
#include "tests/fuzz/damage.hpp"

#include <cstring>
#include <iterator>

#include "fs/media/layout.hpp"
#include "tests/fuzz/vfs.hpp"
#include "tests/host/support/volume.hpp"

namespace tarn::test {

namespace {

constexpr usize kMostRecords = 64;
constexpr u8 kSeal = 0x80;      // of a patch's kind
constexpr u8 kCopyWord = 0x20;  // of its action: from another structure of the kind
constexpr u8 kCopyAll = 0x40;

// ---- what the images hold -----------------------------------------------------------------------

std::vector<std::byte> text_of(usize length)
{
    std::vector<std::byte> bytes(length);
    for (usize i = 0; i < length; i++)
        bytes[i] = static_cast<std::byte>('a' + (i * 7 + i / 26) % 26);
    return bytes;
}

Vfs::Node& made(Vfs& vfs, Vfs::Node& dir, const std::string& name, u32 mode, const std::string& target = {})
{
    Vfs::Node* node = nullptr;
    if (vfs.create(dir, name, mode, target, &node))
        die("populate: create " + name);
    return *node;
}

void must(long long result, const char* what)
{
    if (result < 0)
        die(std::string("populate: ") + what);
}

void populate_directories(Vfs& vfs)
{
    Vfs::Node& many = made(vfs, vfs.root(), "many", 0040755);  // a tree of two levels
    for (int i = 0; i < 32; i++)
        made(vfs, many, "e" + std::to_string(i) + (i % 3 ? std::string(200, 'x') : ""), 0100644);
    Vfs::Node* deep = &vfs.root();
    for (int i = 0; i < 5; i++)
        deep = &made(vfs, *deep, "d" + std::to_string(i), 0040755);
    made(vfs, *deep, "short-link", 0120777, "../target");
    made(vfs, *deep, "long-link", 0120777, std::string(1000, 't'));
    made(vfs, *deep, "fifo", 0010600);
    made(vfs, *deep, "null", 0020666);
    made(vfs, *deep, "empty", 0040700);
}

void populate_files(Vfs& vfs)
{
    Vfs::Node& files = made(vfs, vfs.root(), "files", 0040755);
    Vfs::Node& whole = made(vfs, files, "whole", 0100644);
    must(vfs.write(whole, 0, text_of(70000)), "write");
    must(vfs.link(vfs.root(), "second-name", whole), "link");
    Vfs::Node& pieces = made(vfs, files, "pieces", 0100644);  // a block map of two levels
    must(vfs.fallocate(pieces, TARN_FALLOCATE_KEEP, FakeFile::KeepSize::kNo, 0, 560 * kBlockSize, 100),
         "fallocate");
    for (u64 i = 0; i < 280; i++)
        must(vfs.write(pieces, i * 2 * kBlockSize, text_of(8)), "write");
    Vfs::Node& holes = made(vfs, files, "holes", 0100600);
    for (u64 i : {3, 9, 17})
        must(vfs.write(holes, i * 3 * kBlockSize + 5, text_of(5000)), "write");
    must(vfs.fallocate(holes, TARN_FALLOCATE_KEEP, FakeFile::KeepSize::kYes, 60 * kBlockSize, 20 * kBlockSize,
                       100),
         "fallocate");
    must(vfs.write(made(vfs, files, "far", 0100644), (u64{1} << 62) + 5, text_of(100)), "write");
}

void populate_last(Vfs& vfs)
{
    Vfs::Node& files = *[&] {
        Vfs::Node* node = nullptr;
        must(vfs.lookup(vfs.root(), "files", &node), "lookup");
        return node;
    }();
    must(vfs.write(made(vfs, files, "orphan", 0100644), 0, text_of(30000)), "write");
    must(vfs.rename(files, "whole", vfs.root(), "moved"), "rename");
    must(vfs.unlink(files, "orphan", Vfs::Evict::kAtUnmount), "unlink");
    Vfs::Node* holes = nullptr;
    must(vfs.lookup(files, "holes", &holes), "lookup");
    must(vfs.fallocate(*holes, TARN_FALLOCATE_PUNCH, FakeFile::KeepSize::kYes, 4000, 50000, 100), "punch");
    must(vfs.truncate(*holes, 100000), "truncate");
}

}  // namespace

std::vector<std::byte> make_base_image(Base base, u64 blocks)
{
    LogWatch log;
    begin_input();
    TestDevice device(blocks);
    format_device(device);
    FakeMm mm(device);
    Vfs vfs(mm);
    must(vfs.mount(device.device(), TARN_READ_WRITE), "mount");
    populate_directories(vfs);
    populate_files(vfs);
    if (base == Base::kCrashed) {
        must(vfs.settle(), "settle");
        host::pretend_cpu(1);
    }
    populate_last(vfs);
    host::pretend_cpu(0);
    if (base == Base::kCrashed)
        vfs.abandon();
    else
        vfs.unmount_leaving_orphans();
    return device.image();
}

// ---- inputs -------------------------------------------------------------------------------------

Input decode_input(const u8* data, usize size)
{
    Input input;
    if (size == 0)
        return input;
    input.flags = data[0];
    input.records.resize(min((size - 1) / sizeof(Record), kMostRecords));
    if (!input.records.empty())
        std::memcpy(input.records.data(), data + 1, input.records.size() * sizeof(Record));
    return input;
}

// ---- structures ---------------------------------------------------------------------------------

Anatomy::Anatomy(TestDevice& image)
{
    find_fixed(image);
    for (u64 block = 0; block < image.blocks(); block++)
        find_in_block(image, block);
    add(Kind::kAnything, 0, image.blocks() * kBlockSize);
}

void Anatomy::add_sealed(Kind kind, u64 offset, u64 bytes, u64 crc_at)
{
    add(kind, offset, kind == Kind::kSuperblock ? offsetof(tarnfs_superblock, reserved) : bytes);
    sealed_.push_back({{offset, bytes}, crc_at, kind == Kind::kRecord});
}

void Anatomy::find_fixed(TestDevice& image)
{
    Media media(image.device());
    const Layout layout = read_layout(media).take();
    for (u64 block : {u64{0}, layout.replica().value})
        add_sealed(Kind::kSuperblock, block * kBlockSize, kBlockSize, offsetof(tarnfs_superblock, crc));
    for (u32 journal = 0; journal < layout.journals; journal++) {
        const u64 header = layout.journal(journal).value;
        for (u64 slot = 0; slot < TARNFS_JOURNAL_SLOTS; slot++)
            add_sealed(Kind::kSlot, header * kBlockSize + slot * sizeof(tarnfs_journal_slot),
                       sizeof(tarnfs_journal_slot));
        find_records(image, header + 1, layout.ring_bytes());
    }
}

void Anatomy::find_records(TestDevice& image, u64 first_block, u64 ring_bytes)
{
    for (u64 at = 0; at < ring_bytes;) {
        const auto& record = image.at<tarnfs_record>(first_block, at);
        if (record.magic != TARNFS_RECORD_MAGIC || record.bytes < sizeof record ||
            record.bytes > ring_bytes - at) {
            at += TARNFS_RECORD_ALIGN;
            continue;
        }
        add_sealed(Kind::kRecord, first_block * kBlockSize + at, record.bytes);
        at += round_up(record.bytes, TARNFS_RECORD_ALIGN);
    }
}

void Anatomy::find_in_block(TestDevice& image, u64 block)
{
    const u64 start = block * kBlockSize;
    if (image.at<tarnfs_bitmap>(block).magic == TARNFS_BITMAP_MAGIC)
        add(Kind::kBitmap, start, 64 + 128);
    const auto& node = image.at<tarnfs_block_node>(block);
    if (node.node.magic == TARNFS_NODE_MAGIC && node.self == block) {
        add(Kind::kNode, start, sizeof node + node.node.count * 2);
        find_items(image, {start, kBlockSize}, sizeof node);
    }
    for (u64 slot = 0; slot < TARNFS_INODES_PER_BLOCK; slot++) {
        const u64 at = slot * TARNFS_INODE_BYTES;
        if (image.at<tarnfs_inode>(block, at).magic != TARNFS_INODE_MAGIC)
            continue;
        add_sealed(Kind::kInode, start + at, TARNFS_INODE_BYTES);
        const u64 root = start + at + offsetof(tarnfs_inode, root);
        if (reinterpret_cast<const tarnfs_node*>(image.bytes() + root)->magic != TARNFS_NODE_MAGIC)
            continue;
        add(Kind::kRoot, root, TARNFS_ROOT_BYTES);
        find_items(image, {root, TARNFS_ROOT_BYTES}, sizeof(tarnfs_node));
    }
}

void Anatomy::find_items(TestDevice& image, Piece node, u64 header)
{
    const std::byte* bytes = image.bytes() + node.offset;
    const u16 count = reinterpret_cast<const tarnfs_node*>(bytes)->count;
    const auto* slots = reinterpret_cast<const u16*>(bytes + header);
    for (u16 i = 0; i < count; i++)
        add(Kind::kItem, node.offset + slots[i], 24);
}

// ---- patches ------------------------------------------------------------------------------------

namespace {

constexpr u64 kNumbers[] = {0,
                            1,
                            2,
                            3,
                            7,
                            8,
                            64,
                            255,
                            256,
                            511,
                            512,
                            513,
                            4095,
                            4096,
                            4097,
                            32255,
                            32256,
                            65535,
                            65536,
                            0x7fffffff,
                            0x80000000,
                            0xffffffff,
                            0x100000000,
                            u64{1} << 44,
                            ~u64{0},
                            ~u64{0} - 1,
                            u64{1} << 62,
                            u64{1} << 63,
                            (u64{1} << 63) - 4096,
                            (u64{1} << 63) - 1,
                            (u64{1} << 51) - 1,
                            1000000007};

u64 load_number(const std::byte* at, usize width)
{
    u64 number = 0;
    std::memcpy(&number, at, width);
    return number;
}

u64 changed(u64 old, const Record& patch)
{
    switch (patch.action >> 2 & 7) {
        case 0: return old ^ patch.number();
        case 1: return old + patch.number();
        case 2: return old - patch.number();
        case 3: return patch.number();
        case 4: return kNumbers[patch.a % std::size(kNumbers)] + patch.b;
        case 5: return old ^ u64 { 1 } << patch.a % 64;
        case 6: return u64{patch.a | u32{patch.b} << 8} << patch.c % 64;
        default: return old + (u64{patch.a | u32{patch.b} << 8} << patch.c % 64);
    }
}

}  // namespace

void Anatomy::seal(TestDevice& device, u64 offset, const std::vector<Sealed>& all)
{
    for (const Sealed& sealed : all) {
        const Piece& piece = sealed.piece;
        if (offset < piece.offset || offset >= piece.offset + piece.bytes)
            continue;
        std::byte* start = device.bytes() + piece.offset;
        u64 bytes = piece.bytes;
        if (sealed.is_record)  // as long as it says
            bytes = min<u64>(max<u64>(reinterpret_cast<tarnfs_record*>(start)->bytes, 64), TARNFS_RECORD_MAX);
        bytes = min(bytes, device.blocks() * kBlockSize - piece.offset);
        const u32 crc = structure_crc(start, bytes, sealed.crc_at);
        std::memcpy(start + sealed.crc_at, &crc, sizeof crc);
    }
}

void Anatomy::apply(const Record& patch, TestDevice& device) const
{
    const auto& pieces = pieces_[(patch.kind & 0x0f) % static_cast<usize>(Kind::kKinds)];
    if (pieces.empty())
        return;
    const Piece& piece = pieces[(patch.index | u32{patch.kind & 0x30u} << 4) % pieces.size()];
    // Of everything: 24 bits of place instead of 16.
    const u64 place =
        (piece.bytes > 65536 ? patch.offset | u64{patch.index} << 16 : patch.offset) % piece.bytes;
    const Piece& other = pieces[patch.number() % pieces.size()];
    const usize width = usize{1} << (patch.action & 3);
    const u64 offset = piece.offset + round_down(place, width);
    if (patch.action & kCopyAll) {
        std::memmove(device.bytes() + piece.offset, device.bytes() + other.offset,
                     min(piece.bytes, other.bytes));
    } else {
        const u64 from =
            patch.action & kCopyWord ? other.offset + min(offset - piece.offset, other.bytes - 8) : offset;
        const u64 old = load_number(device.bytes() + from, width);
        const u64 number = patch.action & kCopyWord ? old : changed(old, patch);
        std::memcpy(device.bytes() + offset, &number, width);
    }
    if (patch.kind & kSeal)
        seal(device, offset, sealed_);
}

}  // namespace tarn::test
