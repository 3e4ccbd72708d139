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

// For "%.*s".
int length_of(Bytes name) { return static_cast<int>(name.size()); }
const char* text_of(Bytes name) { return reinterpret_cast<const char*>(name.data()); }

}  // namespace

Status Checker::check_name(u64 directory, const WalkEvent& event, Names& names)
{
    const Entry entry = decode_entry(event.item);
    const u64 hash = event.item.key & kHashMask;
    if (is_reserved(entry.name))
        problem("directory %llu: block %llu: has a reserved name '%.*s'", directory, event.block.value,
                length_of(entry.name), text_of(entry.name));
    if (hash != name_key(layout_.hash_seed, entry.name)) {
        problem("directory %llu: block %llu: entry '%.*s' is not where its name belongs", directory,
                event.block.value, length_of(entry.name), text_of(entry.name));
        return Ok{};
    }
    if (hash != names.hash) {
        names.hash = hash;
        names.seen.clear();
    }
    for (const Bytes& other : names.seen) {
        if (!is_equal(other, entry.name))
            continue;
        problem("directory %llu: block %llu: entry '%.*s' is there twice", directory, event.block.value,
                length_of(entry.name), text_of(entry.name));
        return Ok{};
    }
    return names.seen.push(entry.name);
}

void Checker::check_target(u64 directory, InodeFacts& facts_of_directory, const WalkEvent& event)
{
    const Entry entry = decode_entry(event.item);
    InodeFacts* target = facts(entry.inode.value);
    if (entry.inode.value <= TARNFS_INO_ROOT || !target || !target->is(InodeFacts::kInUse)) {
        problem("directory %llu: entry '%.*s' names inode %llu, which is not in use", directory,
                length_of(entry.name), text_of(entry.name), entry.inode.value);
        return;
    }
    target->names++;
    target->parent = directory;
    if (!target->is(InodeFacts::kUsable)) {
        problem("directory %llu: entry '%.*s' names inode %llu, which is damaged", directory,
                length_of(entry.name), text_of(entry.name), entry.inode.value);
        return;
    }
    if (entry.type != entry_type(target->mode))
        problem("directory %llu: entry '%.*s' says type %u, inode %llu has mode %o", directory,
                length_of(entry.name), text_of(entry.name), entry.type, entry.inode.value, target->mode);
    if (target->is_directory())
        facts_of_directory.subdirectories++;
}

Status Checker::check_entry(u64 directory, InodeFacts& facts, const WalkEvent& event, Names& names)
{
    summary_.entries++;
    check_target(directory, facts, event);
    return check_name(directory, event, names);
}

Status Checker::check_directory(u64 number, const tarnfs_inode& record)
{
    Walked walked;
    Names names;
    InodeFacts& known = *facts(number);
    const TreeRoot root = root_of(number, record, TARNFS_TREE_DIRECTORY);
    for (TreeWalk<DirentKind> walk(volume_, root); auto event = walk.next();) {
        if (event->what == WalkEvent::What::kItem) {
            walked.items++;
            TRY(check_entry(number, known, *event, names));
        } else if (event->what == WalkEvent::What::kDamage) {
            problem("directory %llu: block %llu: %s", number, event->block.value, event->damage);
            walked.damaged = true;
        } else {
            walked.nodes++;
            if (!TRY(own(number, Run{event->block, 1}, "tree node")))
                walk.skip();
        }
    }
    summary_.node_blocks += walked.nodes;
    check_blocks_field(number, record, walked);
    if (!walked.damaged && record.size != walked.items)
        problem("directory %llu: has %llu entries, its record says %llu", number, walked.items, record.size);
    return Ok{};
}

Status Checker::directories()
{
    return for_each_inode([&](u64 number, InodeFacts& facts, const tarnfs_inode& record) {
        return facts.is_directory() ? check_directory(number, record) : Status(Ok{});
    });
}

}  // namespace tarn
