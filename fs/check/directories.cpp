// SPDX-License-Identifier: GPL-2.0
// Checker: directories: every entry's name, place and target.
#include <cstring>

#include "fs/check/checker.hpp"
#include "fs/dir/directory.hpp"

namespace tarn {

// The distinct names met so far whose hash is the current one: entries of equal hash follow one another.
struct Checker::Names {
    u64 hash = 0;
    Vector<Bytes, 4> seen;
};

namespace {

constexpr u64 kHashMask = ~u64{0xffff};

bool is_equal(Bytes a, Bytes b) { return a.size() == b.size() && memcmp(a.data(), b.data(), a.size()) == 0; }

bool is_reserved(Bytes name)
{
    const auto* text = reinterpret_cast<const char*>(name.data());
    return (name.size() == 1 && text[0] == '.') || (name.size() == 2 && text[0] == '.' && text[1] == '.');
}

void set_entry_type(MutableBytes payload, u8 type)
{
    constexpr usize at = offsetof(tarnfs_dirent_item, type) - sizeof(tarnfs_item);
    payload[at] = static_cast<byte>(type);
}

// For "%.*s".
int length_of(Bytes name) { return static_cast<int>(name.size()); }
const char* text_of(Bytes name) { return reinterpret_cast<const char*>(name.data()); }

}  // namespace

Result<Checker::Keep> Checker::check_name(u64 directory, const WalkEvent& event, Names& names)
{
    const Entry entry = decode_entry(event.item);
    const u64 hash = event.item.key & kHashMask;
    if (is_reserved(entry.name))
        if (problem(Fix::kEntries, "directory %llu: block %llu: has a reserved name '%.*s'", directory,
                    event.block.value, length_of(entry.name), text_of(entry.name)))
            return Keep::kNo;
    if (hash != name_key(layout_.hash_seed, entry.name)) {
        const bool approved =
            problem(Fix::kEntries, "directory %llu: block %llu: entry '%.*s' is not where its name belongs",
                    directory, event.block.value, length_of(entry.name), text_of(entry.name));
        return approved ? Keep::kChanged : Keep::kAsItIs;
    }
    if (hash != names.hash) {
        names.hash = hash;
        names.seen.clear();
    }
    for (const Bytes& other : names.seen) {
        if (!is_equal(other, entry.name))
            continue;
        const bool approved =
            problem(Fix::kEntries, "directory %llu: block %llu: entry '%.*s' is there twice", directory,
                    event.block.value, length_of(entry.name), text_of(entry.name));
        return approved ? Keep::kNo : Keep::kAsItIs;
    }
    TRY(names.seen.push(entry.name));
    return Keep::kAsItIs;
}

// True for a directory that is said to be in another one, too, and is there. Repairing only: claims.cpp has
// chosen.
bool Checker::is_elsewhere(u64 directory, const InodeFacts& target) const
{
    return repair_ && target.is_directory() && (target.parent != directory || target.names);
}

// What becomes of an entry, by what it names; kChanged: the type in it is to be corrected.
Checker::Keep Checker::check_target(u64 directory, InodeFacts& facts_of_directory, const WalkEvent& event)
{
    const Entry entry = decode_entry(event.item);
    InodeFacts* target = facts(entry.inode.value);
    if (entry.inode.value <= TARNFS_INO_ROOT || !target || !target->is(InodeFacts::kInUse)) {
        const bool approved =
            problem(Fix::kEntries, "directory %llu: entry '%.*s' names inode %llu, which is not in use",
                    directory, length_of(entry.name), text_of(entry.name), entry.inode.value);
        return approved ? Keep::kNo : Keep::kAsItIs;
    }
    if (is_elsewhere(directory, *target))
        if (problem(Fix::kEntries,
                    "directory %llu: entry '%.*s' names directory %llu, whose place is elsewhere", directory,
                    length_of(entry.name), text_of(entry.name), entry.inode.value))
            return Keep::kNo;
    target->names++;
    target->parent = directory;
    if (!target->is(InodeFacts::kUsable)) {
        const bool approved =
            problem(Fix::kEntries, "directory %llu: entry '%.*s' names inode %llu, which is damaged",
                    directory, length_of(entry.name), text_of(entry.name), entry.inode.value);
        return approved ? Keep::kNo : Keep::kAsItIs;
    }
    if (target->is_directory())
        facts_of_directory.subdirectories++;
    if (entry.type == entry_type(target->mode))
        return Keep::kAsItIs;
    const bool approved =
        problem(Fix::kField, "directory %llu: entry '%.*s' says type %u, inode %llu has mode %o", directory,
                length_of(entry.name), text_of(entry.name), entry.type, entry.inode.value, target->mode);
    return approved ? Keep::kChanged : Keep::kAsItIs;
}

Status Checker::check_entry(u64 directory, InodeFacts& known, const WalkEvent& event, Names& names,
                            Walked& walked)
{
    summary_.entries++;
    const u64 refused = repair_ ? repair_->refused : 0;
    const Keep name = TRY(check_name(directory, event, names));
    const Keep target = name == Keep::kNo ? Keep::kNo : check_target(directory, known, event);
    if (!repair_)
        return Ok{};
    walked.refused |= repair_->refused != refused;
    if (name != Keep::kAsItIs || target != Keep::kAsItIs)
        walked.leave_out(true);
    if (target == Keep::kNo)
        return Ok{};
    TRY(walked.kept->items.add(event.item.key, event.item.payload));
    if (target == Keep::kChanged)
        set_entry_type(walked.kept->items.last_payload(),
                       entry_type(facts(decode_entry(event.item).inode.value)->mode));
    return Ok{};
}

Status Checker::check_directory(u64 number, const tarnfs_inode& record)
{
    Names names;
    InodeFacts& known = *facts(number);
    const TreeRoot root = root_of(number, record, TARNFS_TREE_DIRECTORY);
    Walked xattrs = TRY(walk_xattrs(number, record));
    Walked walked = TRY(start_walk(root));
    for (TreeWalk<DirentKind> walk(volume_, root); auto event = walk.next();) {
        if (event->what == WalkEvent::What::kItem) {
            walked.items++;
            TRY(check_entry(number, known, *event, names, walked));
        } else if (event->what == WalkEvent::What::kDamage) {
            walked.leave_out(problem(Fix::kEntries, "directory %llu: block %llu: %s", number,
                                     event->block.value, event->damage));
        } else {
            bool skip = false;
            TRY(walk_node(number, event->block, walked, &skip));
            if (skip)
                walk.skip();
        }
    }
    summary_.node_blocks += walked.nodes;
    if (!walked.damaged && record.size != walked.items)
        if (problem(Fix::kField, "directory %llu: has %llu entries, its record says %llu", number,
                    walked.items, record.size))
            edit(record, [&](tarnfs_inode& r) { r.size = walked.items; });
    return finish_inode(number, record, walked, xattrs);
}

Status Checker::directories()
{
    if (repair_)
        choose_parents();
    return for_each_inode([&](u64 number, InodeFacts& facts, const tarnfs_inode& record) {
        return facts.is_directory() ? check_directory(number, record) : Status(Ok{});
    });
}

}  // namespace tarn
