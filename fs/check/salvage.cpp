// SPDX-License-Identifier: GPL-2.0
// Salvage: keeping items, and packing them into nodes from the leaves upwards.
//
// Crash argument: nodes go to blocks that nothing points to; whoever makes something point to them fences
// first.
#include "fs/check/salvage.hpp"

#include <cstring>

#include "fs/dir/directory.hpp"
#include "fs/xattr/xattrs.hpp"

namespace tarn {

// ---- items ------------------------------------------------------------------------------------------------

Bytes ItemList::payload(usize index) const
{
    const Kept& item = items_[index];
    return Bytes(reinterpret_cast<const byte*>(words_.begin() + item.first), item.words * kWordSize);
}

MutableBytes ItemList::last_payload()
{
    const Kept& item = items_.back();
    return MutableBytes(reinterpret_cast<byte*>(words_.begin() + item.first), item.words * kWordSize);
}

Status ItemList::add(u64 key, Bytes payload)
{
    const Kept item{key, words_.size(), payload.size() / kWordSize};
    for (u64 i = 0; i < item.words; i++)
        TRY(words_.push(load<u64>(payload.data() + i * kWordSize)));
    return items_.push(item);
}

// A heap whose root is at `at`, but for the root itself, becomes one.
void ItemList::sift(usize at, usize count)
{
    for (usize child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && items_[child].is_before(items_[child + 1]))
            child++;
        if (!items_[at].is_before(items_[child]))
            return;
        std::swap(items_[at], items_[child]);
    }
}

// Nearly always they are in order already. Heap sort: bounded, and in place.
void ItemList::sort()
{
    const usize count = items_.size();
    usize sorted = 1;
    while (sorted < count && items_[sorted - 1].is_before(items_[sorted]))
        sorted++;
    if (sorted >= count)
        return;
    for (usize at = count / 2; at-- > 0;)
        sift(at, count);
    for (usize last = count; --last > 0;) {
        std::swap(items_[0], items_[last]);
        sift(0, last);
    }
}

// ---- names ------------------------------------------------------------------------------------------------

namespace {

constexpr u64 kDisambiguator = 0xffff;

bool same(Bytes a, Bytes b) { return a.size() == b.size() && memcmp(a.data(), b.data(), a.size()) == 0; }

// The name of an item, with its name space (0 for a directory's entry).
struct Named {
    u8 space;
    Bytes name;

    u64 key(const u64 seed[2]) const { return space ? xattr_key(seed, space, name) : name_key(seed, name); }
    bool is(const Named& other) const { return space == other.space && same(name, other.name); }
};

Named name_of(const ItemList& items, usize index, u8 kind)
{
    const Item item{items.key(index), items.payload(index)};
    if (kind == TARNFS_TREE_DIRECTORY)
        return Named{0, decode_entry(item).name};
    const XattrEntry entry = decode_xattr(item);
    return Named{entry.space, entry.name};
}

}  // namespace

void Salvage::settle_names(const u64 seed[2])
{
    for (usize i = 0; i < items.size(); i++) {
        const u64 hash = name_of(items, i, root.kind).key(seed);
        if ((items.key(i) & ~kDisambiguator) != hash)
            items.set_key(i, hash);
    }
    items.sort();
    ItemList& all = items;
    usize first = 0;  // of those with the current hash
    u64 least = 0;    // lowest key that may follow
    all.remove_if([&, kept = usize{0}](usize i) mutable {
        const u64 key = all.key(i);
        if (kept == first || (all.key(first) ^ key) > kDisambiguator) {
            first = kept;
            least = key;
        }
        for (usize other = first; other < kept; other++)
            if (name_of(all, other, root.kind).is(name_of(all, i, root.kind)))
                return true;
        const u64 place = max(key, least);
        if ((place ^ key) > kDisambiguator)
            return true;
        all.set_key(i, place);
        least = place + 1;
        kept++;
        return false;
    });
}

// ---- building ---------------------------------------------------------------------------------------------

namespace {

// One node under construction, in DRAM.
class NodeImage {
  public:
    NodeImage(byte* bytes, u32 size, u32 header) : bytes_(bytes), size_(size), header_(header) { clear(); }

    void clear()
    {
        memset(bytes_, 0, size_);
        count_ = 0;
        heap_ = size_;
    }
    u32 count() const { return count_; }
    // Leaves `spare` bytes for items to come.
    bool fits(usize payload, u32 spare) const
    {
        return header_ + (count_ + 1) * NodeView::kSlot + NodeView::kKey + payload + spare <= heap_;
    }
    void put(u64 key, Bytes payload)
    {
        heap_ -= static_cast<u32>(NodeView::kKey + payload.size());
        memcpy(bytes_ + heap_, &key, sizeof key);
        memcpy(bytes_ + heap_ + NodeView::kKey, payload.data(), payload.size());
        const u16 offset = static_cast<u16>(heap_);
        memcpy(bytes_ + header_ + count_ * NodeView::kSlot, &offset, sizeof offset);
        count_++;
    }
    void finish(const TreeRoot& root, u32 level)
    {
        tarnfs_node head{};
        head.magic = TARNFS_NODE_MAGIC;
        head.kind = root.kind;
        head.level = static_cast<tarn_u8>(level);
        head.count = static_cast<tarn_u16>(count_);
        head.heap = static_cast<tarn_u16>(heap_);
        head.generation = root.generation;
        memcpy(bytes_, &head, sizeof head);
    }

  private:
    byte* bytes_;
    u32 size_;
    u32 header_;
    u32 count_ = 0;
    u32 heap_ = 0;
};

// An eighth of a node stays free: the next insertion splits nothing.
constexpr u32 kSpare = kBlockSize / 8;

class Packer {
  public:
    Packer(Media& media, const TreeRoot& root, BlockSource source, BuiltTree& built)
        : media_(media), root_(root), source_(source), built_(built)
    {
    }
    Status init()
    {
        buffer_ = TRY(Array<byte>::create(kBlockSize));
        return Ok{};
    }

    // True when all items fit into the root, which has them then.
    bool pack_root(const ItemList& items, u32 level)
    {
        NodeImage node(built_.root, TARNFS_ROOT_BYTES, NodeView::kRootHeader);
        for (usize i = 0; i < items.size(); i++) {
            if (!node.fits(items.payload(i).size(), 0))
                return false;
            node.put(items.key(i), items.payload(i));
        }
        node.finish(root_, level);
        return true;
    }
    // Packs the items into block nodes; `parents` receives an item for each.
    Status pack_level(const ItemList& items, u32 level, ItemList& parents)
    {
        NodeImage node(buffer_.data(), kBlockSize, NodeView::kBlockHeader);
        u64 key = 0;  // what the parent says: 0 for the lowest
        for (usize i = 0; i < items.size(); i++) {
            if (node.count() && !node.fits(items.payload(i).size(), kSpare)) {
                TRY(store(node, level, key, parents));
                key = items.key(i);
            }
            node.put(items.key(i), items.payload(i));
        }
        return store(node, level, key, parents);
    }

  private:
    Status store(NodeImage& node, u32 level, u64 key, ItemList& parents)
    {
        const DeviceBlock block = TRY(source_.take(source_.context));
        TRY(built_.nodes.push(block));
        node.finish(root_, level);
        auto& header = *reinterpret_cast<tarnfs_block_node*>(buffer_.data());
        header.owner = root_.owner.value;
        header.self = block.value;
        media_.copy(media_.writable(block), buffer_.data(), kBlockSize);
        node.clear();
        return parents.add(key, Bytes(reinterpret_cast<const byte*>(&block.value), sizeof block.value));
    }

    Media& media_;
    const TreeRoot& root_;
    BlockSource source_;
    BuiltTree& built_;
    Array<byte> buffer_;
};

// A tree of block nodes only.
Status build_blocks(Packer& packer, const ItemList& items, BuiltTree& built)
{
    if (items.size() == 0)
        return Ok{};
    Box<ItemList> below;
    for (u32 level = 0; level <= TARNFS_TREE_MAX_LEVEL; level++) {
        Box<ItemList> above = TRY(Box<ItemList>::create());
        TRY(packer.pack_level(below ? *below : items, level, *above));
        built.root_block = built.nodes.back();
        if (above->size() == 1)
            return Ok{};
        below = std::move(above);
    }
    return Error::kTooLarge;
}

}  // namespace

Status build_tree(Media& media, const TreeRoot& root, const ItemList& items, BlockSource source,
                  BuiltTree& built)
{
    Packer packer(media, root, source, built);
    TRY(packer.init());
    if (root.kind == TARNFS_TREE_ATTRIBUTES)
        return build_blocks(packer, items, built);
    if (packer.pack_root(items, 0))
        return Ok{};
    Box<ItemList> below = TRY(Box<ItemList>::create());
    TRY(packer.pack_level(items, 0, *below));
    for (u32 level = 1; level <= TARNFS_TREE_MAX_LEVEL; level++) {
        if (packer.pack_root(*below, level))
            return Ok{};
        Box<ItemList> above = TRY(Box<ItemList>::create());
        TRY(packer.pack_level(*below, level, *above));
        below = std::move(above);
    }
    return Error::kTooLarge;
}

}  // namespace tarn
