// SPDX-License-Identifier: GPL-2.0
// Checker: the state of one check. Passes, in order (each in the file named):
//   superblocks, journals         check.cpp     the fixed structures
//   table                         table.cpp     which inode records exist, and where
//   inodes                        inodes.cpp    every record, and the block map of everything but directories
//                                 extended.cpp  and its extended attributes
//   directories                   directories.cpp  every entry, against the records
//   links                         links.cpp     counts, parents, reachability
//   bitmaps                       check.cpp     free space against what was found to be owned
//
// One that repairs goes the same way and puts right what it meets. What the passes learn is then what is to
// be: in the end the bitmaps are made to say it. Of a tree in which something is wrong the good items are
// kept, and the tree is built anew from them once it is known which blocks are free (rebuild.cpp). Further
// passes (claims.cpp, search.cpp) find out, before anything is believed, what to believe where two things
// contradict one another.
#pragma once
#include "fs/check/check.hpp"
#include "fs/check/owners.hpp"
#include "fs/check/repair.hpp"
#include "fs/check/salvage.hpp"
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
    u64 parent = 0;          // the directory that names it: the last one found; repairing, the chosen one
    u32 names = 0;           // entries that name it
    u32 subdirectories = 0;  // of a directory: entries in it that are directories
    u16 mode = 0;
    u8 flags = 0;

    bool is(Flag flag) const { return (flags & flag) != 0; }
    bool is_directory() const { return is(kUsable) && (mode & kTypeMask) == kTypeDirectory; }
};

// What a repair carries along.
struct RepairState {
    RepairState(const Approval& who, const Layout& layout) : approval(who), nodes(layout) {}

    const Approval& approval;
    u64 fixed = 0;
    u64 refused = 0;                // problems that stay
    Status failed = Ok{};           // the first error: nothing is repaired behind it
    BlockOwners nodes;              // claims: every good block node of a tree
    Vector<Box<Salvage>, 8> trees;  // to be built anew
    struct Detached {
        u64 number;
        u32 links;  // once it has a name
    };
    Vector<Detached, 8> detached;         // inodes that nothing names
    Vector<DeviceBlock, 16> table_nodes;  // of the inode table's tree as it is
    bool table_cut = false;               // the inode table is not whole, and is to be
    bool table_refused = false;
    u64 free_group = 0;  // the block group in which a free block is looked for
};

// A symbolic link whose target is in its record.
inline bool is_inline_link(const tarnfs_inode& record)
{
    return (record.mode & kTypeMask) == kTypeSymlink && (record.flags & TARNFS_INODE_INLINE_LINK);
}
// The others keep nothing in the record's root, or a directory.
inline bool has_block_map(const tarnfs_inode& record)
{
    const u16 type = record.mode & kTypeMask;
    return type == kTypeRegular || (type == kTypeSymlink && !is_inline_link(record));
}

struct XattrEntry;

class Checker {
  public:
    Checker(Volume& volume, const CheckReporter& reporter, RepairState* repair = nullptr);

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
        bool store_inodes = false;  // repairing: the bitmap is to be what the facts say
        bool store_orphans = false;
    };
    // One tree being walked: whose, and what it has been found to hold.
    struct Walked {
        u64 nodes = 0;
        u64 items = 0;
        u64 data = 0;           // blocks
        FileBlock end;          // behind the last extent
        FileBlock written_end;  // behind the last one that is not unwritten
        DeviceBlock first;      // the first extent's
        bool damaged = false;
        // Repairing: the good items; whether something was left out; whether something bad had to stay.
        Box<Salvage> kept;
        bool cut = false;
        bool refused = false;

        void leave_out(bool approved)
        {
            damaged = true;
            (approved ? cut : refused) = true;
        }
    };

    // Reports it. True: it is to be repaired now.
    __attribute__((format(printf, 3, 4))) bool problem(Fix fix, const char* format, ...);
    void progress();
    // Keeps the first error of a repair.
    void note(const Status& done);
    // Changes a record, in a transaction of its own, and makes its checksum right.
    template <class Change>
    void edit(const tarnfs_inode& record, Change change);

    // check.cpp
    void superblocks();
    const char* superblock_defect(DeviceBlock block) const;
    void journals();
    void check_journal(u32 index);
    Status own_fixed();
    Status bitmaps();
    void check_group_bitmap(u64 index);
    bool compare_group(u64 index, const tarnfs_bitmap& bitmap, u32 bits);
    bool report_difference(u64 group, u32 first, u32 end, u32 marked);
    // Header and counter of any bitmap block; false when its bits mean nothing. `*store` becomes true when it
    // is to be written anew.
    bool check_bitmap(DeviceBlock block, u32 kind, u64 index, u32 bits, const char* name, bool* store);
    const tarnfs_bitmap& bitmap_at(DeviceBlock block) const
    {
        return *reinterpret_cast<const tarnfs_bitmap*>(media_.at(block));
    }

    // table.cpp
    Status table();
    Status walk_table(const tarnfs_inode& inode);
    Status table_extent(const Extent& extent);
    Status table_block(FileBlock at, DeviceBlock block);
    Status add_groups(u64 count);
    Status place_block(FileBlock at, DeviceBlock block);
    void check_table_record(const tarnfs_inode& inode);
    void check_chunks(u64 index);
    void table_problem(bool approved);
    void read_group_bitmaps(u64 index);
    bool mark_numbers(u64 index, DeviceBlock bitmap, InodeFacts::Flag flag);
    void believe_records(u64 index);
    void check_free_records(u64 index);
    void check_free_record(u64 number, InodeFacts& facts, const tarnfs_inode& record);
    // Null where there is none.
    const tarnfs_inode* record(u64 number) const;
    InodeFacts* facts(u64 number);

    // inodes.cpp
    Status inodes();
    void check_inode(u64 number, InodeFacts& facts, const tarnfs_inode& record);
    bool check_record(u64 number, const tarnfs_inode& record);
    bool check_mode(u64 number, const tarnfs_inode& record);
    void check_fields(u64 number, const tarnfs_inode& record);
    void check_root();
    void count_inode(const InodeFacts& facts);
    Status check_contents(u64 number, const tarnfs_inode& record);
    void check_size(u64 number, const tarnfs_inode& record, const Walked& walked);
    void check_link_size(u64 number, const tarnfs_inode& record, const Walked& walked);
    Result<Walked> start_walk(const TreeRoot& root);
    Status want_rebuild(u64 number, Walked& walked);
    Status walk_node(u64 number, DeviceBlock block, Walked& walked, bool* skip);
    Result<Walked> walk_extents(u64 number, const TreeRoot& root);
    Status walk_extent(u64 number, const WalkEvent& event, Walked& walked);
    Status own_extent(u64 number, const Extent& extent, Walked& walked);
    Status keep_extent(const Extent& extent, Walked& walked);
    Result<bool> own(u64 number, Run run, const char* what, bool* approved);
    // The blocks of an inode are those of its contents and of its extended attributes.
    Status finish_inode(u64 number, const tarnfs_inode& record, Walked& walked, Walked& xattrs);
    TreeRoot root_of(u64 number, const tarnfs_inode& record, u8 kind) const;
    void check_blocks_field(u64 number, const tarnfs_inode& record, u64 blocks);

    // extended.cpp
    enum class Keep : u8 { kAsItIs, kChanged, kNo };
    struct XattrNames;
    Result<Walked> walk_xattrs(u64 number, const tarnfs_inode& record);
    Status check_xattr(u64 number, const WalkEvent& event, XattrNames& names, Walked& walked);
    Result<Keep> check_xattr_name(u64 number, const WalkEvent& event, XattrNames& names);
    Result<Keep> own_value(u64 number, const XattrEntry& entry);

    // directories.cpp
    struct Names;
    Status directories();
    Status check_directory(u64 number, const tarnfs_inode& record);
    Status check_entry(u64 directory, InodeFacts& facts, const WalkEvent& event, Names& names,
                       Walked& walked);
    Result<Keep> check_name(u64 directory, const WalkEvent& event, Names& names);
    Keep check_target(u64 directory, InodeFacts& facts, const WalkEvent& event);
    bool is_elsewhere(u64 directory, const InodeFacts& target) const;

    // links.cpp
    void links();
    void check_links(u64 number, InodeFacts& facts, const tarnfs_inode& record);
    void check_orphan(u64 number, InodeFacts& facts, const tarnfs_inode& record);
    void check_parent(u64 number, const InodeFacts& facts, const tarnfs_inode& record);
    void check_reachable(u64 number);
    u64 find_ring(u64 number);
    Status detach(u64 number, InodeFacts& facts);

    // records.cpp: repairing what is in an inode's record
    bool restore_record(u64 number, const tarnfs_inode& record);
    bool guess_mode(u64 number, const tarnfs_inode& record);
    void clear_inode(u64 number, const tarnfs_inode& record);
    void repair_table_record(const tarnfs_inode& record);
    void repair_link(u64 number, const tarnfs_inode& record, const Walked& walked);
    Status make_root();
    void set_in_use(u64 number, InodeFacts& facts);
    void set_orphan(u64 number, InodeFacts& facts, bool orphan);

    // claims.cpp: what to believe where there is a choice
    Status claim_nodes();
    template <class Kind>
    Status claim_nodes_of(const TreeRoot& root);
    void choose_parents();
    void choose_parent(u64 directory, const WalkEvent& event);

    // search.cpp: finding blocks of the inode table that its tree has lost
    Status search_table();
    Status search_block(DeviceBlock block);
    bool may_be_table(DeviceBlock block) const;
    DeviceBlock block_at(FileBlock at) const;
    u64 most_groups() const;

    // rebuild.cpp: building trees anew, writing bitmaps
    Status rebuild();
    Status rebuild_tree(Salvage& kept);
    Status rebuild_table();
    Status fill_gap(DeviceBlock& place, Vector<DeviceBlock, 16>& fresh);
    Status complete_group(Group& group, Vector<DeviceBlock, 16>& fresh);
    Status keep_group(u64 index, Salvage& kept);
    Status build_and_swap(Salvage& kept);
    Status swap_root(Salvage& kept, const BuiltTree& built);
    enum class Mark : u8 { kFree, kInUse };
    Status mark(const Vector<DeviceBlock, 16>& blocks, Mark what);
    Result<DeviceBlock> take_block();
    Status store_bitmap(DeviceBlock block, u32 kind, u64 index, u32 bits, const u64* words);
    Status store_group(u64 index, bool is_good);
    Status store_inode_bitmaps();

    // Calls visit(number, facts, record) for each number in use whose record exists.
    template <class Visit>
    Status for_each_inode(Visit visit);

    Volume& volume_;
    const Media& media_;
    const Layout& layout_;
    const CheckReporter& reporter_;
    RepairState* const repair_;  // null: only checks
    BlockOwners owners_;
    Vector<Box<Group>, 4> groups_;
    FileBlock table_end_;  // table: behind the last extent met
    CheckSummary summary_;
    u64 done_ = 0;
    u64 total_ = 0;
};

template <class Change>
void Checker::edit(const tarnfs_inode& record, Change change)
{
    note([&]() -> Status {
        Transaction txn(volume_);
        tarnfs_inode& changed = TRY(txn.edit_inode_record(root_of(0, record, 0).record));
        change(changed);
        return txn.commit();
    }());
}

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
