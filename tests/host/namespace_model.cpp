// SPDX-License-Identifier: GPL-2.0
// Namespace against a model: random operations, power cuts and remounts; the same tree and a clean check
// every time.
#include "tests/host/namespace_fixture.hpp"

namespace tarn::test {

namespace {

struct ModelNode {
    bool is_directory = false;
    u32 links = 0;   // of files
    u64 parent = 0;  // of directories
    std::map<std::string, u64> entries;
};

class Model {
  public:
    explicit Model(u64 seed) : random(seed) { nodes[kRoot.value] = ModelNode{true, 0, kRoot.value, {}}; }

    void step()
    {
        switch (random() % 10) {
            case 0:
            case 1:
            case 2: create(); break;
            case 3: mkdir(); break;
            case 4: link(); break;
            case 5:
            case 6: remove(); break;
            case 7: exchange(); break;
            default: rename(); break;
        }
    }

    void compare()
    {
        for (const auto& [number, node] : nodes) {
            const tarnfs_inode record = t.record(InodeNumber(number));
            if (!node.is_directory) {
                EXPECT_EQ(record.links, node.links);
                continue;
            }
            EXPECT_EQ(t.list(InodeNumber(number)), node.entries);
            EXPECT_EQ(record.size, node.entries.size());
            EXPECT_EQ(record.parent, node.parent);
        }
        EXPECT_EQ(t.files.fs().inodes().used(), nodes.size() + 1) << "and the table itself";
    }

    NamespaceFixture t{8192};

  private:
    u64 pick(bool directory)
    {
        std::vector<u64> candidates;
        for (const auto& [number, node] : nodes)
            if (node.is_directory == directory)
                candidates.push_back(number);
        return candidates.empty() ? 0 : candidates[random() % candidates.size()];
    }
    std::string name()
    {
        std::string name = "n" + std::to_string(random() % 40);
        if (random() % 5 == 0)
            name.append(random() % 250, 'x');
        return name;
    }
    void add(bool directory, u32 mode, const std::string& target)
    {
        const u64 dir = pick(true);
        const std::string wanted = name();
        const bool there = nodes[dir].entries.count(wanted) != 0;
        const Error error = t.create(InodeNumber(dir), wanted, mode, target);
        ASSERT_EQ(error, there ? Error::kExists : Error::kNone);
        if (there)
            return;
        ASSERT_EQ(nodes.count(t.last.value), 0u) << "number given out twice";
        nodes[dir].entries[wanted] = t.last.value;
        nodes[t.last.value] = ModelNode{directory, 1, directory ? dir : 0, {}};
    }
    void create()
    {
        if (random() % 4 == 0)
            add(false, kTypeSymlink | 0777, std::string(1 + random() % 300, 't'));
        else
            add(false, kTypeRegular | 0644, {});
    }
    void mkdir() { add(true, kTypeDirectory | 0755, {}); }
    void link()
    {
        const u64 dir = pick(true), file = pick(false);
        if (!file)
            return;
        const std::string wanted = name();
        const bool there = nodes[dir].entries.count(wanted) != 0;
        ASSERT_EQ(t.link(InodeNumber(dir), wanted, InodeNumber(file)), there ? Error::kExists : Error::kNone);
        if (there)
            return;
        nodes[dir].entries[wanted] = file;
        nodes[file].links++;
    }
    void drop(u64 number)
    {
        ModelNode& node = nodes[number];
        if (node.is_directory || --node.links == 0)
            nodes.erase(number);
    }
    void remove()
    {
        const u64 dir = pick(true);
        if (nodes[dir].entries.empty())
            return;
        auto entry =
            std::next(nodes[dir].entries.begin(), static_cast<long>(random() % nodes[dir].entries.size()));
        const u64 number = entry->second;
        const bool full = nodes[number].is_directory && !nodes[number].entries.empty();
        ASSERT_EQ(t.unlink(InodeNumber(dir), entry->first), full ? Error::kNotEmpty : Error::kNone);
        if (full)
            return;
        nodes[dir].entries.erase(entry);
        drop(number);
    }
    bool is_below(u64 number, u64 ancestor)
    {
        for (;;) {
            if (number == ancestor)
                return true;
            if (number == kRoot.value)
                return false;
            number = nodes[number].parent;
        }
    }
    Error expected_rename(u64 moved, u64 target)
    {
        if (!target || target == moved)
            return Error::kNone;
        if (nodes[moved].is_directory != nodes[target].is_directory)
            return nodes[moved].is_directory ? Error::kNotDirectory : Error::kIsDirectory;
        return nodes[target].entries.empty() ? Error::kNone : Error::kNotEmpty;
    }
    void rename()
    {
        const u64 from = pick(true), to = pick(true);
        if (nodes[from].entries.empty())
            return;
        const auto entry =
            std::next(nodes[from].entries.begin(), static_cast<long>(random() % nodes[from].entries.size()));
        const auto [old_name, moved] = *entry;
        const std::string wanted = name();
        const u64 target = nodes[to].entries.count(wanted) ? nodes[to].entries[wanted] : 0;
        if ((nodes[moved].is_directory && is_below(to, moved)) || target == from)
            return;  // the VFS refuses these
        const Error error = expected_rename(moved, target);
        ASSERT_EQ(t.rename(InodeNumber(from), old_name, InodeNumber(to), wanted), error);
        if (error != Error::kNone || target == moved)
            return;
        nodes[from].entries.erase(old_name);
        nodes[to].entries[wanted] = moved;
        if (nodes[moved].is_directory)
            nodes[moved].parent = to;
        if (target)
            drop(target);
    }

    void exchange()
    {
        const u64 from = pick(true), to = pick(true);
        if (nodes[from].entries.empty() || nodes[to].entries.empty())
            return;
        auto any = [&](u64 dir) {
            const auto& entries = nodes[dir].entries;
            return *std::next(entries.begin(), static_cast<long>(random() % entries.size()));
        };
        const auto [old_name, moved] = any(from);
        const auto [new_name, target] = any(to);
        if (is_below(to, moved) || is_below(from, target))
            return;  // the VFS refuses these
        ASSERT_EQ(t.exchange(InodeNumber(from), old_name, InodeNumber(to), new_name), Error::kNone);
        nodes[from].entries[old_name] = target;
        nodes[to].entries[new_name] = moved;
        if (nodes[moved].is_directory)
            nodes[moved].parent = to;
        if (nodes[target].is_directory)
            nodes[target].parent = from;
    }

    std::mt19937_64 random;
    std::map<u64, ModelNode> nodes;
};

}  // namespace

class NamespaceModel : public ::testing::TestWithParam<u64> {};

TEST_P(NamespaceModel, AgreesThroughRemountsAndPowerCuts)
{
    Model model(GetParam());
    TestFileSystem& files = model.t.files;
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 150; i++) {
            model.step();
            ASSERT_FALSE(HasFatalFailure());
        }
        model.compare();
        if (round % 2)
            files.cut_power();
        else
            files.unmount();
        ASSERT_EQ(check_device(files.device()).text(), "");
        files.mount();
        model.compare();
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, NamespaceModel, ::testing::Range(u64{1}, u64{7}));

}  // namespace tarn::test
