// SPDX-License-Identifier: GPL-2.0
// Checker: the state of one check. Passes, in order (each in the file named):
//   superblocks, journals         check.cpp     the fixed structures
//   table                         table.cpp     which inode records exist, and where
//   inodes                        inodes.cpp    every record, and the block map of everything but directories
//   directories                   directories.cpp  every entry, against the records
//   links                         links.cpp     counts, parents, reachability
//   bitmaps                       check.cpp     free space against what was found to be owned
#pragma once
#include "fs/check/check.hpp"
#include "fs/check/owners.hpp"
#include "fs/inode/inode.hpp"
#include "fs/tree/walk.hpp"

namespace tarn {

// What the passes learn of one inode number.
struct InodeFacts {
    enum Flag : u8 {
        kInUse = 1,    // its bit is set
        kUsable = 2,   // its record is good enough to be used by later passes
        kOrphan = 4,   // its orphan bit is set
        kChecked = 8,  // links: known to hang from the root, or to be reported
        kOnPath = 16,  // links: on the way that is being followed
    };
    u64 parent = 0;          // the directory that names it (the last one found)
    u32 names = 0;           // entries that name it
    u32 subdirectories = 0;  // of a directory: entries in it that are directories
    u16 mode = 0;
    u8 flags = 0;

    bool is(Flag flag) const { return (flags & flag) != 0; }
    bool is_directory() const { return is(kUsable) && (mode & kTypeMask) == kTypeDirectory; }
};

class Checker {
  public:
    Checker(Volume& volume, const CheckReporter& reporter);

    Status run();
    const CheckSummary& summary() const { return summary_; }

  private:
    static constexpr u32 kChunkBlocks = TARNFS_INODE_CHUNK / TARNFS_INODES_PER_BLOCK;
    static constexpr u32 kChunksPerGroup = TARNFS_BITMAP_BITS / TARNFS_INODE_CHUNK;

    // Blocks are DeviceBlock(0) where nothing is mapped.
    struct Chunk {
        DeviceBlock blocks[kChunkBlocks];
        InodeFacts facts[TARNFS_INODE_CHUNK];
    };
    struct Group {
        DeviceBlock inode_bitmap;
        DeviceBlock orphan_bitmap;
        Box<Chunk> chunks[kChunksPerGroup];
    };
    // One tree being walked: whose, and what it has been found to hold.
    struct Walked {
        u64 nodes = 0;
        u64 items = 0;
        u64 data = 0;   // blocks
        FileBlock end;  // behind the last extent
        FileBlock written_end;  // behind the last one that is not unwritten
        bool damaged = false;
    };

    __attribute__((format(printf, 2, 3))) void problem(const char* format, ...);
    void progress();

    // check.cpp
    void superblocks();
    void check_superblock(DeviceBlock block, const char* which);
    void journals();
    void check_journal(u32 index);
    Status own_fixed();
    Status bitmaps();
    void check_group_bitmap(u64 index);
    void compare_group(u64 index, const tarnfs_bitmap& bitmap, u32 bits);
    void report_difference(u64 group, u32 first, u32 end, u32 marked);
    // Header and counter of any bitmap block; false when its bits mean nothing.
    bool check_bitmap(DeviceBlock block, u32 kind, u64 index, u32 bits, const char* name);
    const tarnfs_bitmap& bitmap_at(DeviceBlock block) const
    {
        return *reinterpret_cast<const tarnfs_bitmap*>(media_.at(block));
    }

    // table.cpp
    Status table();
    Status walk_table(const tarnfs_inode& inode);
    Status table_extent(const Extent& extent);
    Status table_block(FileBlock at, DeviceBlock block);
    void read_group_bitmaps(u64 index);
    void mark_numbers(u64 index, DeviceBlock bitmap, InodeFacts::Flag flag);
    void check_free_records(u64 index);
    // Null where there is none.
    const tarnfs_inode* record(u64 number) const;
    InodeFacts* facts(u64 number);

    // inodes.cpp
    Status inodes();
    Status check_inode(u64 number, InodeFacts& facts, const tarnfs_inode& record);
    bool check_record(u64 number, const tarnfs_inode& record);
    void check_fields(u64 number, const tarnfs_inode& record);
    void count_inode(const InodeFacts& facts);
    Status check_contents(u64 number, const tarnfs_inode& record);
    void check_size(u64 number, const tarnfs_inode& record, const Walked& walked);
    Result<Walked> walk_extents(u64 number, const TreeRoot& root);
    Status walk_extent(u64 number, const WalkEvent& event, Walked& walked);
    Result<bool> own(u64 number, Run run, const char* what);
    TreeRoot root_of(u64 number, const tarnfs_inode& record, u8 kind) const;
    void check_blocks_field(u64 number, const tarnfs_inode& record, const Walked& walked);

    // directories.cpp
    struct Names;
    Status directories();
    Status check_directory(u64 number, const tarnfs_inode& record);
    Status check_entry(u64 directory, InodeFacts& facts, const WalkEvent& event, Names& names);
    Status check_name(u64 directory, const WalkEvent& event, Names& names);
    void check_target(u64 directory, InodeFacts& facts, const WalkEvent& event);

    // links.cpp
    void links();
    void check_links(u64 number, InodeFacts& facts, const tarnfs_inode& record);
    void check_parent(u64 number, const InodeFacts& facts, const tarnfs_inode& record);
    void check_reachable(u64 number);

    // Calls visit(number, facts, record) for each number in use whose record exists.
    template <class Visit>
    Status for_each_inode(Visit visit);

    Volume& volume_;
    const Media& media_;
    const Layout& layout_;
    const CheckReporter& reporter_;
    BlockOwners owners_;
    Vector<Box<Group>, 4> groups_;
    FileBlock table_end_;  // table: behind the last extent met
    CheckSummary summary_;
    u64 done_ = 0;
    u64 total_ = 0;
};

template <class Visit>
Status Checker::for_each_inode(Visit visit)
{
    for (u64 group = 0; group < groups_.size(); group++) {
        for (u32 index = 0; index < kChunksPerGroup; index++) {
            Chunk* chunk = groups_[group]->chunks[index].get();
            if (!chunk)
                continue;
            for (u32 i = 0; i < TARNFS_INODE_CHUNK; i++) {
                const u64 number = group * TARNFS_BITMAP_BITS + index * TARNFS_INODE_CHUNK + i;
                const tarnfs_inode* inode = chunk->facts[i].is(InodeFacts::kInUse) ? record(number) : nullptr;
                if (inode && number != TARNFS_INO_TABLE)
                    TRY(visit(number, chunk->facts[i], *inode));
            }
            progress();
        }
    }
    return Ok{};
}

}  // namespace tarn
