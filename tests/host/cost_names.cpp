// SPDX-License-Identifier: GPL-2.0
// What operations on names and attributes cost, in the steady state of a directory of a hundred entries: one
// fence each, and one record. The budget of a median is what was measured, with the little that another hash
// seed may need.
#include "tests/host/cost_fixture.hpp"

namespace tarn::test {

namespace {

class CostNames : public CostTest {
  protected:
    CostNames() : dir(mkdir(fs->root(), "dir")), other(mkdir(fs->root(), "other"))
    {
        for (int i = 0; i < kEntries; i++) {
            close(file(&dir->inode, "present" + std::to_string(i)));
            close(file(&other->inode, "present" + std::to_string(i)));
        }
    }
    ~CostNames() override
    {
        close(std::move(dir));
        close(std::move(other));
    }

    // Makes, prices and unmakes: the directory stays as it is.
    template <class Make, class Operation, class Unmake>
    void measure(const std::string& what, Make make, Operation operation, Unmake unmake)
    {
        CostRow row(what);
        for (int i = 0; i < kSamples; i++) {
            const std::string text = "name" + std::to_string(i);
            auto made = make(text);
            add(row, [&] { operation(text, made); });
            unmake(text, made);
        }
    }
    // The same for what makes an inode.
    void measure_create(const std::string& what, tarn_inode* in, unsigned mode,
                        const std::string& target = {}, usize length = 0)
    {
        // With other letters than the name before, which may have left its own in the same place.
        auto padded = [=](std::string text) {
            const char letter = static_cast<char>('a' + text.back() - '0');
            return text.size() < length ? text.append(length - text.size(), letter) : text;
        };
        measure(
            what, [](const std::string&) { return std::unique_ptr<Node>(); },
            [&](const std::string& text, std::unique_ptr<Node>& made) {
                made = create(in, padded(text), mode, target);
            },
            [&](const std::string& text, std::unique_ptr<Node>& made) {
                unlink(in, padded(text), *made);
                free(std::move(made));
            });
    }

    static constexpr int kEntries = 100, kSamples = 200;
    std::unique_ptr<Node> dir, other;
};

constexpr unsigned kFile = 0100644, kDirectory = 040755, kLink = 0120777, kFifo = 010644;

}  // namespace

TEST_F(CostNames, Creating)
{
    tarn_inode* in = &dir->inode;
    measure_create("create", in, kFile);
    measure_create("create, name of 255 bytes", in, kFile, {}, 255);
    measure_create("mkdir", in, kDirectory);
    measure_create("mknod", in, kFifo);
    measure_create("symlink, target of 30 bytes", in, kLink, std::string(30, 't'));
    measure_create("symlink, target of 200 bytes", in, kLink, std::string(200, 't'));
}

TEST_F(CostNames, Linking)
{
    auto target = file(&other->inode, "target");
    auto none = [](const std::string&) { return 0; };
    measure(
        "link", none, [&](const std::string& text, int) { link(&dir->inode, text, *target); },
        [&](const std::string& text, int) { unlink(&dir->inode, text, *target); });
    measure(
        "unlink, not the last name",
        [&](const std::string& text) {
            link(&dir->inode, text, *target);
            return 0;
        },
        [&](const std::string& text, int) { unlink(&dir->inode, text, *target); },
        [](const std::string&, int) {});
    close(std::move(target));
}

TEST_F(CostNames, Removing)
{
    auto make = [&](const std::string& text) { return file(&dir->inode, text); };
    auto make_removed = [&](const std::string& text) {
        auto made = make(text);
        unlink(&dir->inode, text, *made);
        return made;
    };
    auto make_dir = [&](const std::string& text) { return mkdir(&dir->inode, text); };
    auto remove = [&](const std::string& text, std::unique_ptr<Node>& made) {
        unlink(&dir->inode, text, *made);
    };
    auto release = [&](const std::string&, std::unique_ptr<Node>& made) { free(std::move(made)); };
    auto nothing = [](const std::string&, std::unique_ptr<Node>&) {};
    measure("unlink, the last name", make, remove, release);
    measure("rmdir", make_dir, remove, release);
    measure("last close of a removed file without blocks", make_removed, release, nothing);
}

TEST_F(CostNames, Renaming)
{
    tarn_inode *here = &dir->inode, *there = &other->inode;
    auto make = [&](const std::string& text) { return file(here, text); };
    auto make_dir = [&](const std::string& text) { return mkdir(here, text); };
    auto remove_from = [&](tarn_inode* in) {
        return [this, in](const std::string& text, std::unique_ptr<Node>& made) {
            unlink(in, text + "-new", *made);
            free(std::move(made));
        };
    };
    auto within = [&](const std::string& text, std::unique_ptr<Node>& made) {
        rename(here, text, here, text + "-new", *made);
    };
    auto across = [&](const std::string& text, std::unique_ptr<Node>& made) {
        rename(here, text, there, text + "-new", *made);
    };
    measure("rename in a directory", make, within, remove_from(here));
    measure("rename across directories", make, across, remove_from(there));
    measure("rename of a directory across", make_dir, across, remove_from(there));
}

TEST_F(CostNames, RenamingOver)
{
    struct Two {
        std::unique_ptr<Node> moved, target;
    };
    tarn_inode *here = &dir->inode, *there = &other->inode;
    measure(
        "rename across over a file",
        [&](const std::string& text) {
            return Two{file(here, text), file(there, text)};
        },
        [&](const std::string& text, Two& two) {
            rename(here, text, there, text, *two.moved, two.target.get());
        },
        [&](const std::string& text, Two& two) {
            free(std::move(two.target));
            unlink(there, text, *two.moved);
            free(std::move(two.moved));
        });
}

TEST_F(CostNames, Attributes)
{
    auto node = file(&dir->inode, "file");
    CostRow mode("chmod, chown, utimes"), same("write of unchanged times");
    for (int i = 0; i < kSamples; i++) {
        tarn_attributes wanted = node->attributes;
        wanted.mode = i % 2 ? 0600 : 0644;
        wanted.uid = static_cast<unsigned>(i);
        wanted.times = {tick(), now, now};
        add(mode, [&] { must(tarn_inode_set_attributes(&node->inode, &wanted, nullptr)); });
        add(same, [&] { must(tarn_inode_write_times(&node->inode, &wanted.times)); });
    }
    close(std::move(node));
}

TEST_F(CostNames, Xattrs)
{
    auto node = file(&dir->inode, "file");
    CostRow first("first extended attribute, 40 bytes"), over("extended attribute of 40 bytes replaced"),
        longer("extended attribute of 5000 bytes replaced"),
        last("removal of the last extended attribute");
    auto change = [&](unsigned size, tarn_xattr_how how) {
        tarn_attributes wanted = node->attributes;
        wanted.times.change = tick();
        const std::string value(size, static_cast<char>(wanted.times.change.seconds));
        const tarn_xattr_change what{{TARN_XATTR_USER, {"name", 4}, value.data(), size}, how};
        must(tarn_inode_set_attributes(&node->inode, &wanted, &what));
    };
    for (int i = 0; i < kSamples; i++) {
        add(first, [&] { change(40, TARN_XATTR_CREATE); });
        add(over, [&] { change(40, TARN_XATTR_REPLACE); });
        change(5000, TARN_XATTR_REPLACE);
        add(longer, [&] { change(5000, TARN_XATTR_REPLACE); });
        add(last, [&] { change(0, TARN_XATTR_REMOVE); });
    }
    close(std::move(node));
}

// A full journal: each line that its records target is written back again, by whoever needs room, and a slot
// is written for each journal. Most of these lines are clean by then, and many are the same: what it comes to
// for each operation is bounded, whichever of them it falls to.
TEST_F(CostNames, Retiring)
{
    CostRow create_row("create that retires the journals");
    u64 operations = 0, retired = 0, creates = 0;
    Cost all;
    const auto count = [&](const Cost& cost) {
        operations++;
        if (!cost.slots)
            return false;
        retired++;
        all.lines += cost.lines;
        return true;
    };
    while (retired < 20 || creates == 0) {
        const std::string text = "name";
        std::unique_ptr<Node> made;
        const Cost create = price_of([&] { made = file(&dir->inode, text); });
        if (count(create)) {
            create_row.add_retiring(create);
            creates++;
        }
        count(price_of([&] { unlink(&dir->inode, text, *made); }));
        count(price_of([&] { free(std::move(made)); }));
        ASSERT_LT(operations, 10'000'000u) << "no create retires";
    }
    EXPECT_LE(all.lines, 5 * operations);
    EXPECT_GE(operations, retired * 300);
}

// A directory that grows to 10,000 entries: its nodes split now and then, and each 64th inode needs a new
// chunk.
TEST_F(CostNames, LargeDirectory)
{
    auto large = mkdir(fs->root(), "large");
    {
        CostRow row("create in a directory that grows to 10,000");
        for (int i = 0; i < 10000; i++)
            add(row, [&] { close(file(&large->inode, "entry" + std::to_string(i))); });
    }
    measure_create("create in a directory of 10,000", &large->inode, kFile);
    close(std::move(large));
}

}  // namespace tarn::test
