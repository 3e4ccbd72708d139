// SPDX-License-Identifier: GPL-2.0
// Checker: the extended attributes of every inode. What a name or a value means is not looked at.
#include "fs/xattr/xattrs.hpp"

#include <cstring>

#include "fs/check/checker.hpp"

namespace tarn {

// The distinct names met so far whose hash is the current one.
struct Checker::XattrNames {
    u64 hash = 0;
    Vector<XattrEntry, 4> seen;
};

namespace {

constexpr u64 kHashMask = ~kLastDisambiguator;

bool is_same_name(const XattrEntry& a, const XattrEntry& b)
{
    return a.space == b.space && a.name.size() == b.name.size() &&
           memcmp(a.name.data(), b.name.data(), a.name.size()) == 0;
}

const char* prefix_of(const XattrEntry& entry)
{
    switch (entry.space) {
        case TARNFS_XATTR_USER: return "user.";
        case TARNFS_XATTR_TRUSTED: return "trusted.";
        case TARNFS_XATTR_SECURITY: return "security.";
        default: return "system.";
    }
}

// For "%s%.*s".
int length_of(const XattrEntry& entry) { return static_cast<int>(entry.name.size()); }
const char* text_of(const XattrEntry& entry) { return reinterpret_cast<const char*>(entry.name.data()); }

// The first block of a value that it names twice, or 0.
DeviceBlock repeated_block(const XattrEntry& entry)
{
    for (u32 i = 0; i < entry.blocks(); i++)
        for (u32 other = 0; other < i; other++)
            if (entry.block(i) == entry.block(other))
                return entry.block(i);
    return DeviceBlock(0);
}

}  // namespace

// kChanged: it is to go where its name belongs.
Result<Checker::Keep> Checker::check_xattr_name(u64 number, const WalkEvent& event, XattrNames& names)
{
    const XattrEntry entry = decode_xattr(event.item);
    const u64 hash = event.item.key & kHashMask;
    if (hash != xattr_key(layout_.hash_seed, entry.space, entry.name)) {
        const bool approved =
            problem(Fix::kXattrs, "inode %llu: block %llu: attribute '%s%.*s' is not where its name belongs",
                    number, event.block.value, prefix_of(entry), length_of(entry), text_of(entry));
        return approved ? Keep::kChanged : Keep::kAsItIs;
    }
    if (hash != names.hash) {
        names.hash = hash;
        names.seen.clear();
    }
    for (const XattrEntry& other : names.seen) {
        if (!is_same_name(other, entry))
            continue;
        const bool approved =
            problem(Fix::kXattrs, "inode %llu: block %llu: attribute '%s%.*s' is there twice", number,
                    event.block.value, prefix_of(entry), length_of(entry), text_of(entry));
        return approved ? Keep::kNo : Keep::kAsItIs;
    }
    TRY(names.seen.push(entry));
    return Keep::kAsItIs;
}

// Owns the blocks of a value, all of them or, repairing, none.
Result<Checker::Keep> Checker::own_value(u64 number, const XattrEntry& entry)
{
    DeviceBlock taken = repair_ ? repeated_block(entry) : DeviceBlock(0);
    for (u32 i = 0; repair_ && i < entry.blocks() && taken == DeviceBlock(0); i++)
        if (owners_.is_owned(entry.block(i)))
            taken = entry.block(i);
    if (taken != DeviceBlock(0) &&
        problem(Fix::kXattrs,
                "block %llu: used as value of attribute '%s%.*s' of inode %llu and as something else",
                taken.value, prefix_of(entry), length_of(entry), text_of(entry), number))
        return Keep::kNo;
    bool approved = false;
    for (u32 i = 0; i < entry.blocks(); i++) {
        const Run run{entry.block(i), 1};
        if (repair_)
            TRY(owners_.mark(run));
        else
            TRY(own(number, run, "value of an attribute", &approved));
    }
    return Keep::kAsItIs;
}

Status Checker::check_xattr(u64 number, const WalkEvent& event, XattrNames& names, Walked& walked)
{
    const XattrEntry entry = decode_xattr(event.item);
    summary_.xattrs++;
    const u64 refused = repair_ ? repair_->refused : 0;
    const Keep name = TRY(check_xattr_name(number, event, names));
    const Keep value = name == Keep::kNo ? Keep::kNo : TRY(own_value(number, entry));
    walked.data += entry.blocks();
    if (!repair_)
        return Ok{};
    walked.refused |= repair_->refused != refused;
    if (name != Keep::kAsItIs || value != Keep::kAsItIs)
        walked.leave_out(true);
    if (value == Keep::kNo)
        return Ok{};
    walked.kept->data += entry.blocks();
    return walked.kept->items.add(event.item.key, event.item.payload);
}

Result<Checker::Walked> Checker::walk_xattrs(u64 number, const tarnfs_inode& record)
{
    const TreeRoot root = root_of(number, record, TARNFS_TREE_ATTRIBUTES);
    if (record.attributes == 0)
        return Walked();
    XattrNames names;
    Walked walked = TRY(start_walk(root));
    for (TreeWalk<XattrKind> walk(volume_, root); auto event = walk.next();) {
        if (event->what == WalkEvent::What::kItem) {
            TRY(check_xattr(number, *event, names, walked));
        } else if (event->what == WalkEvent::What::kDamage) {
            walked.leave_out(problem(Fix::kXattrs, "inode %llu: attributes: block %llu: %s", number,
                                     event->block.value, event->damage));
        } else {
            bool skip = false;
            TRY(walk_node(number, event->block, walked, &skip));
            if (skip)
                walk.skip();
        }
    }
    summary_.node_blocks += walked.nodes;
    summary_.data_blocks += walked.data;
    return walked;
}

}  // namespace tarn
