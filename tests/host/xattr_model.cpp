// SPDX-License-Identifier: GPL-2.0
// Extended attributes: what set, replace, remove, list and get do, against std::map; what they cost in
// blocks; that an inode takes them along when it goes.
#include "tests/host/support/random.hpp"
#include "tests/host/xattr_fixture.hpp"

namespace tarn::test {

namespace {

using Values = XattrFixture::Values;

std::string random_value(std::mt19937_64& random)
{
    const u64 length = random() % (random() % 4 ? 700 : TARNFS_XATTR_VALUE_MAX + 1);
    std::string value(length, '\0');
    for (char& c : value)
        c = static_cast<char>(random());
    return value;
}

std::string random_name(std::mt19937_64& random)
{
    const char* const spaces[] = {"user.", "trusted.", "security.", "system."};
    return spaces[random() % 4] + std::string(1 + random() % 3 * 100, static_cast<char>('a' + random() % 6));
}

}  // namespace

// Whatever is done, the inode has what the model has; check() finds nothing wrong; when the inode goes all
// its blocks are free again.
TEST(XattrModel, AgainstMap)
{
    const u64 seed = test_seed();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    XattrFixture t(8192);
    ASSERT_EQ(t.create(kRoot, "first", kTypeRegular | 0644), Error::kNone);
    t.files.unmount();  // the inode table has its chunk
    t.files.mount();
    const u64 free = t.files.fs().volume().space().free_blocks();
    for (u32 type : {kTypeRegular, kTypeDirectory, kTypeSymlink, kTypeFifo}) {
        ASSERT_EQ(t.create(kRoot, "it", type | 0700, type == kTypeSymlink ? "target" : ""), Error::kNone);
        const InodeNumber it = t.last;
        Values model;
        for (int i = 0; i < 400; i++) {
            const std::string name = random_name(random);
            const std::string value = random_value(random);
            const bool known = model.count(name) != 0;
            switch (random() % 5) {
                case 0:
                    ASSERT_EQ(t.change(it, name, value, TARN_XATTR_CREATE),
                              known ? Error::kExists : Error::kNone);
                    model.emplace(name, value);
                    break;
                case 1:
                    ASSERT_EQ(t.change(it, name, value, TARN_XATTR_REPLACE),
                              known ? Error::kNone : Error::kNoXattr);
                    if (known)
                        model[name] = value;
                    break;
                case 2:
                    ASSERT_EQ(t.remove(it, name), known ? Error::kNone : Error::kNoXattr);
                    model.erase(name);
                    break;
                case 3:
                    ASSERT_EQ(t.change(it, name, value, TARN_XATTR_CLEAR), Error::kNone);
                    model.erase(name);
                    break;
                default: ASSERT_EQ(t.set(it, name, value), Error::kNone); model[name] = value;
            }
            if (i % 8 == 0) {
                ASSERT_EQ(t.all(it, i % 16 ? 4096 : 512), model);
            }
        }
        t.files.unmount();
        const Checked checked = check_device(t.files.device());
        ASSERT_EQ(checked.summary.problems, 0u) << checked.text();
        ASSERT_EQ(checked.summary.xattrs, model.size());
        t.files.mount();
        ASSERT_EQ(t.all(it), model);
        ASSERT_EQ(t.unlink(kRoot, "it"), Error::kNone);
        t.files.unmount();
        t.files.mount();
        EXPECT_EQ(t.files.fs().volume().space().free_blocks(), free);
    }
}

TEST(XattrModel, LimitsAndErrors)
{
    XattrFixture t;
    ASSERT_EQ(t.create(kRoot, "file", kTypeRegular | 0644), Error::kNone);
    const InodeNumber file = t.last;
    std::string longest(TARNFS_XATTR_VALUE_MAX, 'v');
    byte small[10];
    EXPECT_EQ(t.get(file, "user.none", MutableBytes(small)).error(), Error::kNoXattr);
    EXPECT_EQ(t.remove(file, "user.none"), Error::kNoXattr);
    EXPECT_EQ(t.change(file, "user.none", "", TARN_XATTR_CLEAR), Error::kNone);
    EXPECT_EQ(t.set(file, "user.long", longest + "v"), Error::kValueTooLong);
    EXPECT_EQ(t.set(file, "user.", "v"), Error::kInvalid);
    EXPECT_EQ(t.set(file, "user." + std::string(256, 'n'), "v"), Error::kInvalid);
    EXPECT_TRUE(t.all(file).empty());
    EXPECT_EQ(t.record(file).attributes, 0u);
    EXPECT_EQ(t.set(file, "user.long", longest), Error::kNone);
    EXPECT_EQ(t.set(file, "user." + std::string(255, 'n'), std::string(512, 'v')), Error::kNone);
    EXPECT_EQ(t.get(file, "user.long", MutableBytes(small)).error(), Error::kNoRoom);
    EXPECT_EQ(t.get(file, "user.long", MutableBytes()).value(), longest.size());
    EXPECT_EQ(t.record(file).blocks, 1u + 16);
    EXPECT_EQ(t.set(file, "user.empty", ""), Error::kNone);
    EXPECT_EQ(t.all(file).at("user.empty"), "");
    // Where it belongs is forgotten with the last one.
    for (const auto& [name, value] : t.all(file))
        EXPECT_EQ(t.remove(file, name), Error::kNone);
    EXPECT_EQ(t.record(file).blocks, 0u);
    EXPECT_EQ(t.record(file).attributes, 0u);
}

// On a full device nothing changes, and no block is lost.
TEST(XattrModel, NoSpace)
{
    XattrFixture t;
    ASSERT_EQ(t.create(kRoot, "file", kTypeRegular | 0644), Error::kNone);
    const InodeNumber file = t.last;
    const std::string value(20000, 'v');
    u32 count = 0;
    Error error = Error::kNone;
    for (; (error = t.set(file, "user." + std::to_string(count), value)) == Error::kNone; count++)
        ASSERT_LT(count, 10000u);
    EXPECT_EQ(error, Error::kNoSpace);
    EXPECT_EQ(t.set(file, "user.0", value), Error::kNoSpace);
    EXPECT_EQ(t.all(file).size(), count);
    EXPECT_EQ(t.all(file).at("user.0"), value);
    EXPECT_EQ(t.remove(file, "user.1"), Error::kNone);
    EXPECT_EQ(t.set(file, "user.0", value), Error::kNone);
    t.files.unmount();
    const Checked checked = check_device(t.files.device());
    EXPECT_EQ(checked.summary.problems, 0u) << checked.text();
}

// The attributes that an inode is made with are there at once, or it is not made.
TEST(XattrModel, MadeWithAttributes)
{
    XattrFixture t;
    const XattrName label("security.label"), acl("system.posix_acl_access");
    const std::string longer(5000, 'l'), shorter(40, 's');
    const tarn_xattr xattrs[] = {make_xattr(label, longer), make_xattr(acl, shorter)};
    for (u32 type : {kTypeRegular, kTypeDirectory, kTypeSymlink, kTypeSocket}) {
        auto root = t.open(kRoot);
        const std::string target(type == kTypeSymlink ? 300 : 0, 't');
        NewInode what{type | 0600u, 1, 2, 0, name_bytes(target), t.tick()};
        what.xattrs = Span<const tarn_xattr>(xattrs);
        auto made = t.names().create(*root, name_bytes("n" + std::to_string(type)), what);
        ASSERT_TRUE(made.is_ok());
        const Values expected{{"security.label", longer}, {"system.posix_acl_access", shorter}};
        EXPECT_EQ(t.all(made.value().number), expected);
        EXPECT_EQ(t.record(made.value().number).blocks, type == kTypeSymlink ? 4u : 3u);
    }
    t.files.unmount();
    const Checked checked = check_device(t.files.device());
    EXPECT_EQ(checked.summary.problems, 0u) << checked.text();
}

// Removed but open when the power goes: check() finds nothing wrong, and the next mount frees all of it.
TEST(XattrModel, OrphansOfEveryType)
{
    XattrFixture t;
    t.frees = false;
    ASSERT_EQ(t.create(kRoot, "first", kTypeRegular | 0644), Error::kNone);
    t.files.unmount();
    t.files.mount();
    const u64 free = t.files.fs().volume().space().free_blocks();
    for (u32 type : {kTypeRegular, kTypeDirectory, kTypeSymlink, kTypeFifo}) {
        ASSERT_EQ(t.create(kRoot, "it", type | 0700, type == kTypeSymlink ? "target" : ""), Error::kNone);
        ASSERT_EQ(t.set(t.last, "trusted.long", std::string(10000, 'v')), Error::kNone);
        ASSERT_EQ(t.set(t.last, "trusted.short", "v"), Error::kNone);
        ASSERT_EQ(t.unlink(kRoot, "it"), Error::kNone);
    }
    t.files.cut_power();
    const Checked checked = check_device(t.files.device());
    EXPECT_EQ(checked.text(), "");
    EXPECT_EQ(checked.summary.orphans, 4u);
    t.files.mount();
    t.files.unmount();
    EXPECT_EQ(check_device(t.files.device()).summary.orphans, 0u);
    t.files.mount();
    EXPECT_EQ(t.files.fs().volume().space().free_blocks(), free);
}

// Thousands of attributes: several levels, freed in several transactions.
TEST(XattrModel, Many)
{
    XattrFixture t(8192);
    ASSERT_EQ(t.create(kRoot, "dir", kTypeDirectory | 0755), Error::kNone);
    const InodeNumber dir = t.last;
    const u64 free = t.files.fs().volume().space().free_blocks();
    Values model;
    for (int i = 0; i < 2500; i++) {
        const std::string name = "trusted.attribute-" + std::to_string(i) + std::string(200, 'x');
        const std::string value = std::to_string(i) + std::string(450, 'y');
        ASSERT_EQ(t.set(dir, name, value), Error::kNone);
        model[name] = value;
    }
    EXPECT_EQ(t.all(dir), model);
    EXPECT_GT(t.record(dir).blocks, 400u);
    EXPECT_EQ(t.unlink(kRoot, "dir"), Error::kNone);
    t.files.unmount();
    const Checked checked = check_device(t.files.device());
    EXPECT_EQ(checked.summary.problems, 0u) << checked.text();
    t.files.mount();
    EXPECT_EQ(t.files.fs().volume().space().free_blocks(), free);
}

}  // namespace tarn::test
