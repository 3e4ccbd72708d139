// SPDX-License-Identifier: GPL-2.0
#include "tools/signatures.hpp"

#include <blkid/blkid.h>

#include <cstring>
#include <memory>

#include "tarnfs/ondisk.hpp"
#include "tools/console.hpp"

namespace tarn::tools {

namespace {

struct FreeProbe {
    void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<struct blkid_struct_probe, FreeProbe>;

Probe make_probe(const Target& target)
{
    Probe probe(blkid_new_probe());
    if (!probe || blkid_probe_set_device(probe.get(), target.fd(), 0, 0) != 0)
        fail(1, "%s: cannot look for what is on it", target.path().c_str());
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(),
                                      BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_MAGIC);
    blkid_probe_enable_partitions(probe.get(), 1);
    blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_MAGIC);
    return probe;
}

std::string value(const Probe& probe, const char* name)
{
    const char* text = nullptr;
    return blkid_probe_lookup_value(probe.get(), name, &text, nullptr) == 0 && text ? text : "";
}

std::string labelled(const std::string& what, const std::string& label)
{
    return label.empty() ? what : what + " labelled '" + escape(label) + "'";
}

// A tarnfs by its superblock in that block, or empty.
std::string recognise_own(const Target& target, u64 block, const char* what)
{
    const auto& super =
        *reinterpret_cast<const tarnfs_superblock*>(target.device().base + block * kBlockSize);
    if (super.magic != TARNFS_SUPER_MAGIC)
        return {};
    const auto* label = reinterpret_cast<const char*>(super.label);
    return labelled(what, std::string(label, strnlen(label, TARNFS_LABEL_BYTES)));
}

}  // namespace

std::string recognise(const Target& target)
{
    std::string own = recognise_own(target, 0, "a tarnfs file system");
    if (!own.empty())
        return own;
    Probe probe = make_probe(target);
    const int found = blkid_do_safeprobe(probe.get());
    if (found == -2)
        return "signatures of several file systems or tables";
    if (found < 0)
        fail(1, "%s: cannot be read", target.path().c_str());
    // One whose replica is left still mounts.
    if (found == 1)
        return recognise_own(target, target.device().blocks - 1,
                             "a tarnfs file system, its superblock damaged,");
    const std::string type = value(probe, "TYPE");
    if (!type.empty())
        return labelled("a file system or volume of type " + type, value(probe, "LABEL"));
    const std::string table = value(probe, "PTTYPE");
    return table.empty() ? "data that is recognised" : "a partition table (" + table + ")";
}

void erase_signatures(Target& target)
{
    Probe probe = make_probe(target);
    // Each erased signature may have hidden another; the bound is for a device that does not keep what is
    // written.
    for (int most = 64; most > 0 && blkid_do_probe(probe.get()) == 0; most--)
        if (blkid_do_wipe(probe.get(), 0) != 0)
            fail(1, "%s: cannot be written", target.path().c_str());
}

}  // namespace tarn::tools
