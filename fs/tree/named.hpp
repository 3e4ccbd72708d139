// SPDX-License-Identifier: GPL-2.0
// Finding an item by name, in a tree whose keys are hashes of names: directories and extended attributes.
//
// Names of one hash (rare: 47 bits) have neighbouring keys and are compared. A key is its name's hash with
// the lowest disambiguator that was free when it was inserted, and never changes.
#pragma once
#include "fs/tree/hash.hpp"
#include "fs/tree/tree.hpp"

namespace tarn {

inline constexpr u64 kLastDisambiguator = 65535;

// Where a name is, or else the lowest unused key for it; 0 when there is none.
template <class Found>
struct NamedPlace {
    u64 key;
    std::optional<Found> found;
};

// `first` is the name's hash (name_key); `match(item)` is what is looked for, or nothing when the item has
// another name. No sleep. Errors: those of the tree.
template <class Found, class Kind, class Match>
Result<NamedPlace<Found>> find_named(const Tree<Kind>& tree, const Transaction* txn, u64 first, Match match)
{
    const u64 last = first + kLastDisambiguator;
    u64 unused = first;
    for (u64 key = first; key <= last; key++) {
        const std::optional<Item> item = TRY(tree.at_or_above(txn, key));
        if (!item || item->key > last)
            break;
        std::optional<Found> found = match(*item);
        if (found)
            return NamedPlace<Found>{item->key, found};
        if (item->key == unused)
            unused++;
        key = item->key;
    }
    return NamedPlace<Found>{unused <= last ? unused : 0, std::nullopt};
}

}  // namespace tarn
