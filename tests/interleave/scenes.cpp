// SPDX-License-Identifier: GPL-2.0
// What files are like in the beginning, and what threads do to them: the two tables that everything else is
// made of. Offsets are those of the words that a World watches: 8 and 2048 in the first block, 4160 in the
// second.
#include "tests/interleave/world.hpp"

namespace tarn::test {

const std::vector<Scene>& scenes()
{
    using enum Scene::Blocks;
    using enum Scene::Mapped;
    static const std::vector<Scene> table = {
        {"hole", false, kHole, kNot},
        {"unwritten", false, kUnwritten, kNot},
        {"written", false, kWritten, kNot},
        {"written, mapped", false, kWritten, kReadable},
        {"written, dirty", false, kWritten, kDirty},
        {"hole, mapped", false, kHole, kReadable},
        {"written, one process", false, kWritten, kNot, true},
        {"2 MiB, hole", true, kHole, kNot},
        {"2 MiB, hole, mapped", true, kHole, kReadable},
        {"2 MiB, written", true, kWritten, kNot},
        {"2 MiB, dirty", true, kWritten, kDirty},
    };
    return table;
}

const std::vector<Action>& actions()
{
    static const std::vector<Action> table = {
        {"load", [](World& world, unsigned who) { world.load(who, 8), world.load(who, 4160); }, true, true,
         true},
        {"store", [](World& world, unsigned who) { world.store(who, 8), world.store(who, 4160); }, true, true,
         true},
        {"mkwrite", [](World& world, unsigned who) { world.load(who, 8), world.store(who, 8); }, true, true,
         false},
        {"write", [](World& world, unsigned who) { world.write(who, 1024, 4096); }, true, true, true},
        {"write, load",
         [](World& world, unsigned who) {
             world.write(who, 2048, 8);
             world.load(who, 2048);
         },
         true, true, false},
        {"truncate to 0", [](World& world, unsigned) { world.truncate(0); }, true, true, false},
        {"truncate", [](World& world, unsigned) { world.truncate(1032); }, true, true, true},
        {"punch", [](World& world, unsigned) { world.punch(0, kBlockSize); }, true, true, true},
        {"zero", [](World& world, unsigned) { world.zero(0, kBlockSize); }, true, true, false},
        {"insert", [](World& world, unsigned) { world.insert(kBlockSize, kBlockSize); }, true, true, false},
        {"collapse", [](World& world, unsigned) { world.collapse(0, kBlockSize); }, true, true, true},
        {"allocate", [](World& world, unsigned) { world.allocate(0, world.size_of_scene()); }, false, true,
         false},
        {"fsync", [](World& world, unsigned who) { world.fsync(who); }, true, true, true},
        {"fsync of a block", [](World& world, unsigned who) { world.fsync_block(who, 1); }, true, true,
         false},
        {"pin", [](World& world, unsigned who) { world.pin_and_store(who, 2048); }, true, true, true},
        {"pin to load", [](World& world, unsigned who) { world.pin_and_load(who, 8); }, true, true, false},
        {"store, private", [](World& world, unsigned who) { world.store_private(who, 8); }, true, true, true},
        {"store, fsync", [](World& world, unsigned who) { world.store(who, 8), world.fsync(who); }, true,
         true, false},
        {"evict", [](World& world, unsigned who) { world.unmap(who); }, true, true, true},
        {"store, fork",
         [](World& world, unsigned who) { world.store(who, 8), world.fork_and_store(who, 2048); }, true, true,
         false},
        {"want memory", [](World& world, unsigned) { world.reclaim(); }, true, true, false},
        {"write another", [](World& world, unsigned who) { world.write_other(who); }, false, true, false},
        {"store, 4 KiB", [](World& world, unsigned who) { world.use_small_faults(who), world.store(who, 8); },
         true, false, false},
    };
    return table;
}

}  // namespace tarn::test
