// SPDX-License-Identifier: GPL-2.0
// Calls on extended attributes by inode number.
#pragma once
#include <map>

#include "tests/host/namespace_fixture.hpp"

namespace tarn::test {

// "user.name" and the like to name space and name.
struct XattrName {
    u8 space;
    std::string name;

    explicit XattrName(const std::string& full)
    {
        static const std::map<std::string, u8> spaces = {{"user", TARN_XATTR_USER},
                                                         {"trusted", TARN_XATTR_TRUSTED},
                                                         {"security", TARN_XATTR_SECURITY},
                                                         {"system", TARN_XATTR_SYSTEM}};
        const auto dot = full.find('.');
        space = spaces.at(full.substr(0, dot));
        name = full.substr(dot + 1);
    }
};

// Valid as long as what it was made of.
inline tarn_xattr make_xattr(const XattrName& name, const std::string& value)
{
    const tarn_name its_name{name.name.data(), static_cast<unsigned>(name.name.size())};
    return tarn_xattr{name.space, its_name, value.data(), static_cast<unsigned>(value.size())};
}

class XattrFixture : public NamespaceFixture {
  public:
    using Values = std::map<std::string, std::string>;
    using NamespaceFixture::NamespaceFixture;

    Error change(InodeNumber number, const std::string& full, const std::string& value, tarn_xattr_how how)
    {
        auto inode = open(number);
        tarn_attributes attributes{};
        names().attributes(*inode, attributes);
        attributes.times.change = tick();
        const XattrName name(full);
        const tarn_xattr_change wanted{make_xattr(name, value), how};
        return names().set_attributes(*inode, attributes, &wanted).error();
    }
    Error set(InodeNumber number, const std::string& full, const std::string& value)
    {
        return change(number, full, value, TARN_XATTR_EITHER);
    }
    Error remove(InodeNumber number, const std::string& full)
    {
        return change(number, full, "", TARN_XATTR_REMOVE);
    }

    Result<u32> get(InodeNumber number, const std::string& full, MutableBytes buffer)
    {
        const XattrName name(full);
        return names().get_xattr(*open(number), name.space, name_bytes(name.name), buffer);
    }
    // All of them, through a buffer of `size` bytes for the names.
    Values all(InodeNumber number, u32 size = 4096)
    {
        Values values;
        auto inode = open(number);
        std::vector<u64> buffer(size / 8);
        MutableBytes bytes(reinterpret_cast<byte*>(buffer.data()), size);
        for (u64 cookie = 0;;) {
            auto used = names().list_xattrs(*inode, cookie, bytes);
            if (!used.is_ok())
                throw std::runtime_error("list attributes");
            if (used.value() == 0)
                return values;
            for (u32 at = 0; at < used.value();) {
                const auto& packed = *reinterpret_cast<const tarn_xattr_name*>(bytes.data() + at);
                const std::string name(packed.name, packed.length);
                EXPECT_TRUE(values.emplace(full_name(packed.space, name), value(*inode, packed)).second)
                    << name;
                cookie = packed.cookie + 1;
                at += static_cast<u32>(round_up(offsetof(tarn_xattr_name, name) + packed.length, 8));
            }
        }
    }

  private:
    static std::string full_name(u8 space, const std::string& name)
    {
        const char* const spaces[] = {"", "user.", "trusted.", "security.", "system."};
        return spaces[space] + name;
    }
    std::string value(Inode& inode, const tarn_xattr_name& packed)
    {
        const Bytes name(reinterpret_cast<const byte*>(packed.name), packed.length);
        auto length = names().get_xattr(inode, packed.space, name, MutableBytes());
        std::string value(length.is_ok() ? length.value() : 0, '\0');
        auto got = names().get_xattr(inode, packed.space, name,
                                     MutableBytes(reinterpret_cast<byte*>(value.data()), value.size()));
        EXPECT_TRUE(got.is_ok());
        EXPECT_EQ(got.value(), value.size());
        return value;
    }
};

}  // namespace tarn::test
