// SPDX-License-Identifier: GPL-2.0
#include "tests/crash/workloads.hpp"

namespace tarn::crash {

namespace {

// What runs beside something else: everything but what concerns the whole file system or is not durable on
// return.
std::vector<const Operation*> for_pairs()
{
    std::vector<const Operation*> all;
    for (const Operation& each : operations()) {
        const std::string name = each.name;
        if (name != "freeze" && name != "remount" && name != "release" && name.find("power cut") != 0 &&
            name.find("hold") == std::string::npos && name.find("held") == std::string::npos &&
            (name.find("store") != 0 || name.find("fsync") != std::string::npos))
            all.push_back(&each);
    }
    return all;
}

void add_singles(const Base& base, std::vector<Workload>& list)
{
    for (const Operation& each : operations())
        list.push_back({.operations = {&each}});
    // A ring that is full: the operation retires the journals first, or a later one of its transactions does.
    for (const Operation& each : operations())
        for (u64 less : {1, 2})
            list.push_back({.operations = {&each}, .records = base.records_until_retirement - less});
    // Later laps of the ring, with old records behind the newest.
    for (u64 records : {3, 2, 1, 0})
        list.push_back({.operations = {&operation("create /k"), &operation("unlink /g")},
                        .records = 3 * base.records_until_retirement - records});
}

// Each fence of each operation fails, where it has so many.
void add_failing(std::vector<Workload>& list, u64 most)
{
    for (const Operation& each : operations())
        for (u64 failing = 1; failing <= most; failing++)
            list.push_back({.operations = {&each}, .states = 40, .failing = failing});
}

// Freeing in several transactions, with an orphan in between. New places for inodes.
void add_long_ones(std::vector<Workload>& list)
{
    const Operation& create = operation("create /k");
    for (const char* last : {"truncate /k 0", "unlink /k"})
        list.push_back({.operations = {&create, &kFragment, &operation(last)}, .quiet = 2, .states = 24});
    list.push_back(
        {.operations = {&kHoardChunk, &create, &operation("unlink /k"), &operation("release")}, .quiet = 1});
    list.push_back(
        {.operations = {&kHoardGroup, &create, &operation("unlink /k")}, .quiet = 1, .states = 24});
}

// A line of a tree node is first used long after the node was made, behind a retirement or a recovery: what
// it held before must not come back. No processor that has a part in it drains another's lines.
void add_fresh_nodes(std::vector<Workload>& list)
{
    auto add = [&](std::initializer_list<const Operation*> between) {
        Workload workload{.operations = {&operation("create /k"), &kScatter}, .quiet = 2, .moves = true};
        workload.operations.insert(workload.operations.end(), between);
        workload.operations.push_back(&operation("write /k"));
        list.push_back(workload);
    };
    add({&kScatterMoreAndFreeze});
    for (const char* cut : {"power cut", "power cut, read-only at first"})
        add({&kScatterMore, &operation(cut)});
}

// A block map of nodes moves: new ones come, old ones go, and are somebody's data next.
void add_moving_nodes(std::vector<Workload>& list)
{
    const Operation& collapse = operation("collapse /k");
    list.push_back({.operations = {&operation("create /k"), &kScatter, &kScatterMore, &operation("write /k"),
                                   &collapse, &operation("append /f, far")},
                    .quiet = 4});
    list.push_back({.operations = {&operation("create /k"), &kFragment, &collapse, &operation("write /k")},
                    .quiet = 2,
                    .states = 24});
}

// For what it takes particular operations to see.
std::vector<Workload> chosen()
{
    std::vector<Workload> list;
    auto sequence = [&](std::initializer_list<const char*> names, bool moves = true) {
        list.push_back({.operations = {}, .moves = moves});
        for (const char* name : names)
            list.back().operations.push_back(&operation(name));
    };
    sequence({"truncate /f 2000", "truncate /f 20000"});
    // What was cut off stays behind the end, and shows when the file grows.
    sequence({"truncate /f 2000", "power cut", "truncate /f 20000"});
    sequence({"truncate /f 2000", "power cut", "allocate /f"});
    sequence({"truncate /g 9000", "power cut", "write /g, behind the end"});
    sequence({"store /f", "fsync /f"});
    sequence({"chmod /f", "store /f, fsync"});
    // A version goes before what it was told of does.
    for (const char* change :
         {"overwrite /f", "store /f, fsync", "punch /f", "truncate /f 2000", "chattr /f"})
        sequence({"version /f", change, "version /f"});
    sequence({"allocate /g", "write /g, hole"});
    sequence({"allocate /g", "store /g, hole, fsync"});
    sequence({"zero /f", "store /f, fsync"});
    sequence({"hold /f", "unlink /f", "unlink /h", "create /k", "release"});
    sequence({"unlink /g, held", "create /k", "write /k", "release"});
    sequence({"unlink /g", "append /f, far", "write /g, behind the end"});
    // A tree node is freed, and its block is data: written, and stored through a mapping.
    sequence({"create /e/l...", "unlink /e/l...", "append /f, far"});
    sequence({"create /e/l...", "unlink /e/l...", "truncate /g 6000", "write /g, behind the end"}, false);
    sequence({"create /e/l...", "unlink /e/l...", "store /g, hole, fsync"});
    // One processor's record is older than another's.
    sequence({"create /k", "rename /f /d/k", "freeze", "unlink /f", "freeze", "create /k"});
    sequence({"chmod /f", "append /f", "freeze"});
    sequence({"mkdir /k", "unlink /f", "create /d/k", "rename /d/sub /e", "remount", "create /k"});
    // Recovered by one processor, changed by another.
    sequence({"create /k", "append /f, far", "power cut, read-only at first", "create /d/k"});
    sequence({"create /k", "power cut", "append /f, far", "power cut", "unlink /k"});
    auto beside = [&](std::initializer_list<const char*> names, u64 most) {
        for (u64 calls = 1; calls <= most; calls++) {
            Workload pair{.operations = {}, .is_pair = true, .schedule = {calls, 1000}};
            for (const char* name : names)
                pair.operations.push_back(&operation(name));
            list.push_back(pair);
        }
    };
    // The blocks that the first frees are what the second takes.
    beside({"create /k", "truncate /f 0", "write /k"}, 3);
    beside({"create /k", "punch /f", "write /k"}, 3);
    // The second promises what the first has yet to throw away.
    beside({"store /f, far", "truncate /f 2000", "fdatasync /f"}, 3);
    beside({"store /f", "punch /f", "fdatasync /f"}, 3);
    // Bits of one word, words of one inode.
    beside({"create /k", "create /d/k"}, 3);
    beside({"chmod /f", "fsync /f"}, 3);
    return list;
}

void add_pairs(const Base& base, std::vector<Workload>& list, u64 each_with, u64 seed)
{
    std::mt19937_64 random(seed);
    const auto all = for_pairs();
    for (usize i = 0; i < all.size(); i++)
        for (u64 n = 0; n < each_with; n++) {
            // Another one: never itself.
            const usize other = (i + 1 + random() % (all.size() - 1)) % all.size();
            Workload pair{.operations = {all[i], all[other]}, .is_pair = true};
            pair.schedule = {1 + random() % 24, random() % 3 ? 1 + random() % 24 : 1000};
            if (n % 8 == 7)
                pair.records = base.records_until_retirement - 1 - random() % 2;
            list.push_back(std::move(pair));
        }
}

void add_sequences_of_two(std::vector<Workload>& list)
{
    for (const Operation& first : operations())
        for (const Operation& second : operations())
            list.push_back({.operations = {&first, &second}, .quiet = 1, .moves = true});
}

}  // namespace

std::vector<Workload> fixed_workloads(const Base& base, u64 thorough)
{
    std::vector<Workload> list;
    add_singles(base, list);
    add_failing(list, 6);
    add_long_ones(list);
    add_fresh_nodes(list);
    add_moving_nodes(list);
    for (const Workload& workload : chosen())
        list.push_back(workload);
    add_pairs(base, list, 16 * thorough, 1);
    add_sequences_of_two(list);
    return list;
}

Workload random_workload(const Base& base, u64 seed, u64 index)
{
    std::mt19937_64 random(seed * 1000003 + index);
    Workload workload{.moves = true};
    for (int i = 0; i < 50; i++)
        workload.operations.push_back(&operations()[random() % operations().size()]);
    if (index % 16 == 0)  // retires somewhere in the middle
        workload.records = base.records_until_retirement - 1 - random() % 12;
    return workload;
}

std::vector<Workload> short_workloads(const Base& base)
{
    std::vector<Workload> list;
    for (const Operation& each : operations())
        list.push_back({.operations = {&each}});
    for (const Workload& workload : chosen())
        list.push_back(workload);
    for (const char* name : {"create /k", "append /f, far", "unlink /g"})
        for (u64 less : {1, 2})
            list.push_back(
                {.operations = {&operation(name)}, .records = base.records_until_retirement - less});
    add_fresh_nodes(list);
    add_moving_nodes(list);
    for (const char* name : {"create /k", "freeze"})
        for (u64 failing : {1, 2})
            list.push_back({.operations = {&operation(name)}, .failing = failing});
    add_long_ones(list);
    add_pairs(base, list, 4, 2);
    for (u64 index = 1; index < 12; index++)
        list.push_back(random_workload(base, 3, index));
    return list;
}

}  // namespace tarn::crash
