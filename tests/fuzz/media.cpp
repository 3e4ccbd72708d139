// SPDX-License-Identifier: GPL-2.0
// Fuzz target `media`: a damaged image is mounted, walked, written to, unmounted, checked and mounted again.
//
//  - Nothing crashes, traps or runs on for ever; no memory, lock or scope is left behind.
//  - Damage is reported with a block number and makes the file system read-only (vfs.hpp).
//  - Nothing is stored to a device that is read-only, or whose superblocks are refused, nor by a read-only
//  mount once the
//    journals have been replayed.
//  - What the check calls clean can be used: no operation meets damage there, and it is clean afterwards.
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <set>

#include "tests/fuzz/damage.hpp"
#include "tests/fuzz/records.hpp"
#include "tests/fuzz/scratch.hpp"
#include "tests/fuzz/vfs.hpp"
#include "tests/host/support/populated.hpp"

namespace tarn::test {

namespace {

constexpr usize kMostInodes = 400;
constexpr usize kMostEntries = 300;  // of a directory
constexpr u64 kFallocateSteps = 20;

// Bits of the flags.
constexpr u8 kUseCrashed = 1;
constexpr u8 kAccess = 6;  // 0, 2: read-write
constexpr u8 kReadOnlyMount = 4;
constexpr u8 kReadOnlyDevice = 6;
constexpr u8 kCheckFirst = 8;
constexpr u8 kMountAgain = 16;
constexpr u8 kCutPower = 32;

class Session {
  public:
    explicit Session(Vfs& vfs) : vfs_(vfs) {}

    void walk();
    void operate(const Record& op);

  private:
    struct Place {
        u64 dir;
        std::string name;
    };
    void visit_directory(Vfs::Node& dir);
    void visit_file(Vfs::Node& file);

    Vfs::Node* node_of(const Place& place);
    Vfs::Node* dir_of(const Place& place);
    const Place& pick(u8 number) const { return places_[number % places_.size()]; }
    std::string name_of(const Record& op) const;
    std::vector<std::byte> bytes_of(const Record& op) const;
    u64 offset_of(const Record& op, const Vfs::Node& file) const;
    void change_name(const Record& op, Vfs::Node& dir);
    void change_file(const Record& op, Vfs::Node& file);
    void change_mount(const Record& op);

    Vfs& vfs_;
    std::vector<Place> places_;
    std::map<u64, std::string> paths_;  // of directories
};

// ---- looking ------------------------------------------------------------------------------------

void Session::walk()
{
    places_.clear();
    paths_.clear();
    paths_[vfs_.root().number()] = "";
    std::deque<u64> queue{vfs_.root().number()};
    std::set<u64> seen{vfs_.root().number()};
    for (; !queue.empty() && seen.size() < kMostInodes; queue.pop_front()) {
        Vfs::Node* dir = nullptr;
        std::vector<Vfs::Entry> entries;
        if (vfs_.resolve(paths_[queue.front()], &dir) || vfs_.list(*dir, entries, kMostEntries))
            continue;
        const std::string path = paths_[queue.front()];
        for (const Vfs::Entry& entry : entries) {
            Vfs::Node* node = nullptr;
            if (vfs_.lookup(*dir, entry.name, &node))
                continue;
            places_.push_back({dir->number(), entry.name});
            if (!seen.insert(node->number()).second)
                continue;
            vfs_.refresh(*node);
            std::string target;
            if (node->type() == 0120000)
                (void)vfs_.read_link(*node, target);
            else if (node->type() == 0100000)
                visit_file(*node);
            else if (node->type() == 0040000) {
                paths_[node->number()] = path + "/" + entry.name;
                queue.push_back(node->number());
            }
        }
    }
}

void Session::visit_file(Vfs::Node& file)
{
    std::vector<std::byte> bytes;
    u64 at = 0;
    for (int i = 0; i < 12; i++) {
        const long long data = vfs_.seek(file, at, TARN_SEEK_DATA);
        if (data < 0)
            break;
        if (static_cast<u64>(data) < at)
            die("SEEK_DATA goes back");
        (void)vfs_.read(file, static_cast<u64>(data), i ? 5000 : 30000, bytes);
        if (i < 2) {
            bytes.resize(4096);
            (void)vfs_.load(file, static_cast<u64>(data), bytes);
        }
        const long long hole = vfs_.seek(file, static_cast<u64>(data), TARN_SEEK_HOLE);
        if (hole < 0)
            break;
        if (hole <= data)
            die("SEEK_HOLE goes back");
        at = static_cast<u64>(hole);
    }
    (void)vfs_.read(file, at, 5000, bytes);
}

// ---- changing -----------------------------------------------------------------------------------

Vfs::Node* Session::dir_of(const Place& place)
{
    Vfs::Node* dir = nullptr;
    auto path = paths_.find(place.dir);
    return path != paths_.end() && !vfs_.resolve(path->second, &dir) ? dir : &vfs_.root();
}

Vfs::Node* Session::node_of(const Place& place)
{
    Vfs::Node* node = nullptr;
    return vfs_.lookup(*dir_of(place), place.name, &node) ? nullptr : node;
}

std::string Session::name_of(const Record& op) const
{
    if (op.c < 64 && !places_.empty())
        return pick(op.c).name;
    return op.c < 160 ? "n" + std::to_string(op.c) : std::string(255, static_cast<char>('A' + op.c % 26));
}

std::vector<std::byte> Session::bytes_of(const Record& op) const
{
    return std::vector<std::byte>(1 + (op.c < 128 ? op.c * 33u : (op.c - 127u) * 400u),
                                  static_cast<std::byte>(op.b));
}

u64 Session::offset_of(const Record& op, const Vfs::Node& file) const
{
    switch (op.b % 6) {
        case 0: return op.offset;
        case 1: return op.offset * u64{4096};
        case 2: return file.attributes.size;
        case 3: return file.attributes.size > op.offset ? file.attributes.size - op.offset : 0;
        case 4: return u64{op.offset} << op.c % 48;
        default: return min(file.attributes.size + op.offset, TARN_FILE_SIZE_MAX);
    }
}

void Session::operate(const Record& op)
{
    if (!vfs_.is_mounted())
        return;
    const u8 action = op.action % 24;
    if (action >= 22)
        return change_mount(op);
    if (places_.empty()) {
        if (action < 10)
            change_name(op, vfs_.root());
        return;
    }
    if (action < 10)
        return change_name(op, *dir_of(pick(op.index)));
    Vfs::Node* node = node_of(pick(op.index));
    if (node && node->type() == 0100000)
        change_file(op, *node);
    else if (node)
        (void)vfs_.set_mode(*node, op.offset & 07777);
}

void Session::change_name(const Record& op, Vfs::Node& dir)
{
    static constexpr u32 kModes[] = {0100644, 0040755, 0010600, 0020666, 0140777, 0060600};
    const std::string name = name_of(op);
    const auto place = places_.empty() ? Place{} : pick(op.a);
    Vfs::Node* node = nullptr;
    switch (op.action % 24) {
        case 0: (void)vfs_.create(dir, name, 0100644, {}, &node); break;
        case 1: (void)vfs_.create(dir, name, 0040755, {}, &node); break;
        case 2: (void)vfs_.create(dir, name, kModes[op.b % 6], {}, &node); break;
        case 3: (void)vfs_.create(dir, name, 0120777, std::string(1 + op.offset % 4095, 't'), &node); break;
        case 4:
            if ((node = node_of(place)))
                (void)vfs_.link(dir, name, *node);
            break;
        case 5:
        case 6:
            (void)vfs_.unlink(*dir_of(place), place.name,
                              op.b & 1 ? Vfs::Evict::kAtUnmount : Vfs::Evict::kNow);
            break;
        default: (void)vfs_.rename(*dir_of(place), place.name, dir, name); break;
    }
}

void Session::change_file(const Record& op, Vfs::Node& file)
{
    const u64 offset = offset_of(op, file);
    const u64 room = TARN_FILE_SIZE_MAX - min(offset, TARN_FILE_SIZE_MAX);
    std::vector<std::byte> bytes = bytes_of(op);
    const u64 length = max<u64>(1, min<u64>(room, op.c < 200 ? bytes.size() * 5 : u64{op.c} << 20));
    const auto keep = op.a & 1 ? FakeFile::KeepSize::kYes : FakeFile::KeepSize::kNo;
    switch (op.action % 24) {
        case 10:
        case 11:
        case 12:
            if (bytes.size() <= room)
                (void)vfs_.write(file, offset, bytes);
            break;
        case 13: (void)vfs_.truncate(file, offset); break;
        case 14:
            (void)vfs_.fallocate(file, TARN_FALLOCATE_KEEP, keep, offset, length, kFallocateSteps);
            break;
        case 15:
            (void)vfs_.fallocate(file, TARN_FALLOCATE_PUNCH, FakeFile::KeepSize::kYes, offset, length,
                                 kFallocateSteps);
            break;
        case 16:
            (void)vfs_.fallocate(file, TARN_FALLOCATE_ZERO, keep, offset, length, kFallocateSteps);
            break;
        case 17:
        case 18: (void)vfs_.store(file, offset, bytes); break;
        case 19: (void)vfs_.load(file, offset, bytes); break;
        case 20: (void)vfs_.set_mode(file, op.offset & 07777); break;
        case 21:
        case 22:
            (void)vfs_.fallocate(file, op.action % 24 == 21 ? TARN_FALLOCATE_COLLAPSE : TARN_FALLOCATE_INSERT,
                                 FakeFile::KeepSize::kNo, round_down(offset, kBlockSize),
                                 round_up(length, kBlockSize), kFallocateSteps);
            break;
        default: (void)vfs_.fsync(file); break;
    }
    vfs_.refresh(file);
}

void Session::change_mount(const Record& op)
{
    switch (op.a % 4) {
        case 0: (void)vfs_.sync(); break;
        case 1: (void)vfs_.settle(); break;
        case 2: (void)vfs_.remount(TARN_READ_ONLY); break;
        default:
            if (!vfs_.has_open_orphans())
                (void)vfs_.remount(TARN_READ_WRITE);
    }
}

// ---- one input ----------------------------------------------------------------------------------

class Target {
  public:
    Target()
        : bases_{Scratch(make_base_image(Base::kSettled)), Scratch(make_base_image(Base::kCrashed))},
          anatomies_{Anatomy(bases_[0].device()), Anatomy(bases_[1].device())}
    {
    }

    void run(const Input& input)
    {
        LogWatch log;
        const u64 allocations = host::live_allocations();
        const bool is_crashed = input.flags & kUseCrashed;
        Scratch& scratch = bases_[is_crashed];
        scratch.reset();
        for (const Record& record : input.records)
            if (!record.is_operation())
                anatomies_[is_crashed].apply(record, scratch.device());
        if ((input.flags & kAccess) >= kReadOnlyMount || !has_layout(scratch.device()))
            look(input, scratch);
        else
            use(input, scratch);
        scratch.allow_stores();
        if (host::live_allocations() != allocations)
            die("memory left behind");
    }

  private:
    static bool has_layout(TestDevice& device)
    {
        const Media media(device.device());
        return read_layout(media).is_ok();
    }

    // Read-only, and once everything that may be stored has been, stores are fatal.
    void look(const Input& input, Scratch& scratch)
    {
        TestDevice& device = scratch.device();
        const bool is_device_read_only = (input.flags & kAccess) == kReadOnlyDevice;
        device.set_read_only(is_device_read_only);
        if (is_device_read_only || !has_layout(device))
            scratch.forbid_stores();
        FakeMm mm(device);
        mm.allow_shared_pages();
        {
            Vfs vfs(mm);
            if (vfs.mount(device.device(), TARN_READ_ONLY) == 0) {
                scratch.forbid_stores();
                Session session(vfs);
                session.walk();
                for (const Record& record : input.records)
                    if (record.is_operation() && record.action % 24 < 22)
                        session.operate(record);
            }
        }
        check_as_is(device);
    }

    void use(const Input& input, Scratch& scratch)
    {
        TestDevice& device = scratch.device();
        const bool was_clean = input.flags & kCheckFirst && check_device(device).summary.problems == 0;
        FakeMm mm(device);
        mm.allow_shared_pages();
        work(input, device, mm, was_clean, input.flags & kCutPower);
        const Checked after = check_device(device);
        if (was_clean && after.summary.problems)
            die("what was clean is not any more:\n" + after.text());
        if (input.flags & kMountAgain) {
            work({}, device, mm, was_clean, false);
            if (was_clean && check_device(device).summary.problems)
                die("the second mount damages it");
        }
    }

    void work(const Input& input, TestDevice& device, FakeMm& mm, bool was_clean, bool cut_power)
    {
        Vfs vfs(mm);
        const int error = vfs.mount(device.device(), TARN_READ_WRITE);
        if (was_clean && error && error != -EOPNOTSUPP)
            die("refused, but the check finds nothing: error " + std::to_string(error));
        if (error)
            return;
        Session session(vfs);
        session.walk();
        for (const Record& record : input.records)
            if (record.is_operation())
                session.operate(record);
        if (was_clean && vfs.has_met_damage())
            die("damaged, but the check finds nothing");
        if (cut_power)
            vfs.abandon();
    }

    Scratch bases_[2];
    Anatomy anatomies_[2];
};

}  // namespace

}  // namespace tarn::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace tarn::test;
    begin_input();
    static Target target;
    begin_input();
    target.run(decode_input(data, size));
    return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed)
{
    return tarn::test::mutate_records<1, sizeof(tarn::test::Record)>(data, size, max_size, seed);
}
