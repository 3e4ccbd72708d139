// SPDX-License-Identifier: GPL-2.0
// Fuzz target `operations`: what an input says is done, one operation after the other, to a file system and
// to the model of tests/guest/powercut; both must agree after remounts and power cuts, and the check must
// find nothing.
//
// An input is a byte that nobody looks at and records of 4 bytes: a seed, by which the model's Chooser
// chooses an operation that must succeed; a processor to do it on; and what happens around it: nothing, a
// remount, a power cut behind it (all that was not fenced is lost), or one at some fence within it (of what
// was on its way nothing, some or only the journals is lost).
#include <cerrno>
#include <cstring>
#include <optional>

#include "fs/filesystem.hpp"
#include "tests/fuzz/records.hpp"
#include "tests/fuzz/scratch.hpp"
#include "tests/fuzz/vfs.hpp"
#include "tests/guest/powercut/model.hpp"
#include "tests/guest/replay/core_view.hpp"
#include "tests/host/support/persist_model.hpp"
#include "tests/host/support/populated.hpp"

namespace tarn::test {

namespace {

using powercut::Action;
using powercut::Operation;

constexpr u64 kBlocks = 2112;  // room for two journals
constexpr usize kMostOperations = 60;
constexpr int kMostMounts = 6;  // in one input: each copies the device
constexpr u64 kAllSteps = ~u64{0};
const std::string kRootName = "w";

struct Step {
    u8 seed[2];
    u8 event;  // bits 0..1: processor; 2..4: what happens around it
    u8 number;

    unsigned processor() const { return event & 3; }
    enum class Around : u8 {
        kNothing,
        kNothing1,
        kNothing2,
        kNothing3,
        kRemount,
        kCutBehind,
        kCutWithin,
        kCutWithin1
    };
    Around around() const { return static_cast<Around>(event >> 2 & 7); }
};
static_assert(sizeof(Step) == 4);

std::vector<std::byte> empty_image()
{
    LogWatch log;
    TestDevice device(kBlocks);
    format_device(device);
    FakeMm mm(device);
    Vfs vfs(mm);
    Vfs::Node* root = nullptr;
    if (vfs.mount(device.device(), TARN_READ_WRITE) || vfs.create(vfs.root(), kRootName, 0040755, {}, &root))
        die("cannot make the image");
    vfs.unmount();
    return device.image();
}

std::string problem_of(tarn_fs* fs, const powercut::Model& model)
{
    replay::CoreView view(*reinterpret_cast<FileSystem*>(fs), kRootName);
    return powercut::Comparison(model, view, nullptr).difference();
}

// Does operations through a Vfs. 0 or -errno.
class Hands {
  public:
    explicit Hands(Vfs& vfs) : vfs_(vfs) {}

    int execute(const Operation& op);

  private:
    struct Place {
        Vfs::Node* dir = nullptr;
        std::string name;
    };
    int place(const std::string& path, Place* found);
    int create(const Place& at, u32 mode, const std::string& target);
    int make_nameless(const Operation& op, const Place& at);
    int change(const Operation& op, Vfs::Node& file);
    int write(const Operation& op, Vfs::Node& file);
    int unlink_open(const Place& at);

    Vfs& vfs_;
};

int Hands::place(const std::string& path, Place* found)
{
    const usize slash = path.rfind('/');
    found->name = path.substr(slash + 1);
    return vfs_.resolve(kRootName + path.substr(0, slash), &found->dir);
}

int Hands::execute(const Operation& op)
{
    Place at, to;
    Vfs::Node* node = nullptr;
    if (op.action == Action::Sync)
        return vfs_.sync();
    if (const int error = place(op.path, &at))
        return error;
    if (op.action == Action::Link || op.action == Action::Rename || op.action == Action::Exchange)
        if (const int error = place(op.other, &to))
            return error;
    switch (op.action) {
        case Action::Create: return create(at, 0100644, {});
        case Action::Mkdir: return create(at, 0040755, {});
        case Action::Symlink: return create(at, 0120777, op.other);
        case Action::Rename: return vfs_.rename(*at.dir, at.name, *to.dir, to.name);
        case Action::Exchange: return vfs_.exchange(*at.dir, at.name, *to.dir, to.name);
        case Action::Nameless: return make_nameless(op, at);
        case Action::Rmdir:
        case Action::Unlink: return vfs_.unlink(*at.dir, at.name);
        case Action::UnlinkOpen: return unlink_open(at);
        default: break;
    }
    if (const int error = vfs_.lookup(*at.dir, at.name, &node))
        return error;
    return op.action == Action::Link ? vfs_.link(*to.dir, to.name, *node) : change(op, *node);
}

int Hands::create(const Place& at, u32 mode, const std::string& target)
{
    Vfs::Node* made = nullptr;
    return vfs_.create(*at.dir, at.name, mode, target, &made);
}

int Hands::make_nameless(const Operation& op, const Place& at)
{
    Vfs::Node* made = nullptr;
    if (const int error = vfs_.create_nameless(*at.dir, 0100644, &made))
        return error;
    if (const int error = write(op, *made))
        return error;
    return vfs_.link(*at.dir, at.name, *made);
}

int Hands::change(const Operation& op, Vfs::Node& file)
{
    using Keep = FakeFile::KeepSize;
    switch (op.action) {
        case Action::Allocate:
            return vfs_.fallocate(file, TARN_FALLOCATE_KEEP, Keep::kNo, op.offset, op.length, kAllSteps);
        case Action::Keep:
            return vfs_.fallocate(file, TARN_FALLOCATE_KEEP, Keep::kYes, op.offset, op.length, kAllSteps);
        case Action::Punch:
            return vfs_.fallocate(file, TARN_FALLOCATE_PUNCH, Keep::kYes, op.offset, op.length, kAllSteps);
        case Action::Zero:
            return vfs_.fallocate(file, TARN_FALLOCATE_ZERO, Keep::kNo, op.offset, op.length, kAllSteps);
        case Action::Collapse:
            return vfs_.fallocate(file, TARN_FALLOCATE_COLLAPSE, Keep::kNo, op.offset, op.length, kAllSteps);
        case Action::Insert:
            return vfs_.fallocate(file, TARN_FALLOCATE_INSERT, Keep::kNo, op.offset, op.length, kAllSteps);
        case Action::SetXattr: return vfs_.set_xattr(file, op.other, powercut::new_bytes(op));
        case Action::RemoveXattr: return vfs_.set_xattr(file, op.other, std::nullopt);
        case Action::Truncate:
        case Action::Open: return vfs_.truncate(file, op.length);
        case Action::Chmod: return vfs_.set_mode(file, op.mode);
        case Action::Write:
        case Action::Append:
        case Action::Map: return write(op, file);
        default: die("not known here: " + op.text());
    }
}

int Hands::write(const Operation& op, Vfs::Node& file)
{
    const powercut::Bytes wanted = powercut::new_bytes(op);
    std::vector<std::byte> bytes(wanted.size());
    std::memcpy(bytes.data(), wanted.data(), wanted.size());
    if (op.action == Action::Map) {
        const int error = vfs_.store(file, op.offset, bytes);
        return error ? error : vfs_.fsync(file);
    }
    const long long done = vfs_.write(file, op.offset, bytes);
    if (done >= 0 && static_cast<usize>(done) < bytes.size())
        return -ENOSPC;
    return static_cast<int>(min<long long>(done, 0));
}

// The file stays open until the unmount, and grows once more if that was its last name.
int Hands::unlink_open(const Place& at)
{
    Vfs::Node* node = nullptr;
    if (const int error = vfs_.lookup(*at.dir, at.name, &node))
        return error;
    if (const int error = vfs_.unlink(*at.dir, at.name, Vfs::Evict::kAtUnmount))
        return error;
    if (node->attributes.links)
        return 0;
    return static_cast<int>(min<long long>(vfs_.write(*node, 5000, std::vector<std::byte>(22)), 0));
}

// ---- one input ----------------------------------------------------------------------------------

class Run {
  public:
    explicit Run(Scratch& scratch) : device_(scratch.device()), mm_(device_), vfs_(mm_), hands_(vfs_)
    {
        begin();
    }

    // False: the device is full, which the model does not know.
    bool step(Step step);
    void finish();

  private:
    void begin();
    void judge_cut(const Operation& op, const powercut::Model& before);
    void expect_clean(TestDevice& device, const std::string& when);
    void compare(const std::string& when);
    void remount();
    void cut_power();
    static void at_fence(void* context);

    TestDevice& device_;
    FakeMm mm_;
    Vfs vfs_;
    Hands hands_;
    powercut::Model model_;
    std::optional<PersistModel> persist_;
    int mounts_ = 0;
    u64 fences_until_cut_ = 0;
    u8 how_to_cut_ = 0;
    std::vector<std::byte> cut_;  // what a power cut within the operation has left
};

void Run::begin()
{
    persist_.emplace(device_, at_fence, this);
    if (const int error = vfs_.mount(device_.device(), TARN_READ_WRITE))
        die("mount: error " + std::to_string(error));
}

void Run::at_fence(void* context)
{
    auto& self = *static_cast<Run*>(context);
    if (self.fences_until_cut_ == 0 || --self.fences_until_cut_)
        return;
    std::mt19937_64 random(self.how_to_cut_);
    self.cut_ = self.how_to_cut_ % 3 ? self.persist_->some(random) : self.persist_->least();
    if (self.how_to_cut_ % 3 != 2)
        return;
    // The hardest: the journals have all of it, and what they rely on has not arrived.
    const Layout& layout = reinterpret_cast<FileSystem*>(self.vfs_.fs())->volume().layout();
    const u64 from = layout.journal_start.value * kBlockSize, to = layout.bitmap_start.value * kBlockSize;
    self.cut_ = self.persist_->least();
    std::memcpy(self.cut_.data() + from, self.device_.bytes() + from, to - from);
}

bool Run::step(Step step)
{
    if (step.around() >= Step::Around::kRemount && ++mounts_ > kMostMounts)
        step.event &= 3;
    host::pretend_cpu(static_cast<int>(step.processor()));
    powercut::Random random(step.seed[0] | u64{step.seed[1]} << 8);
    const Operation op = powercut::Chooser(model_, random, powercut::Files::kSmall).choose();
    const bool cuts_within = step.around() >= Step::Around::kCutWithin;
    const powercut::Model before = model_;
    fences_until_cut_ = cuts_within ? 1 + step.number % 8 : 0;
    how_to_cut_ = static_cast<u8>(step.number / 8);
    cut_.clear();
    const int error = hands_.execute(op);
    fences_until_cut_ = 0;
    if (error == -ENOSPC)
        return false;
    if (error)
        die(op.text() + ": error " + std::to_string(error));
    model_.apply(op);
    if (!cut_.empty())
        judge_cut(op, before);
    if (step.around() == Step::Around::kRemount)
        remount();
    else if (step.around() == Step::Around::kCutBehind)
        cut_power();
    return true;
}

void Run::judge_cut(const Operation& op, const powercut::Model& before)
{
    MmPause pause;
    TestDevice crashed(cut_);
    FakeMm mm(crashed);
    Vfs vfs(mm);
    if (const int error = vfs.mount(crashed.device(), TARN_READ_WRITE))
        die("mount after a power cut in " + op.text() + ": error " + std::to_string(error));
    replay::CoreView view(*reinterpret_cast<FileSystem*>(vfs.fs()), kRootName);
    const powercut::Verdict verdict = powercut::judge(before, op, op.text(), view);
    if (!verdict.problem.empty())
        die(verdict.problem);
    vfs.unmount();
    expect_clean(crashed, "after a power cut in " + op.text());
}

void Run::expect_clean(TestDevice& device, const std::string& when)
{
    const Checked checked = check_as_is(device);
    if (checked.summary.problems)
        die(when + ":\n" + checked.text());
}

void Run::compare(const std::string& when)
{
    const std::string problem = problem_of(vfs_.fs(), model_);
    if (!problem.empty())
        die(when + ": " + problem);
}

void Run::remount()
{
    vfs_.unmount();
    persist_.reset();
    expect_clean(device_, "after an unmount");
    begin();
    compare("after a remount");
}

void Run::cut_power()
{
    const std::vector<std::byte> left = persist_->least();
    vfs_.abandon();
    persist_.reset();
    device_.restore(left);
    begin();
    compare("after a power cut");
}

void Run::finish()
{
    compare("in the end");
    remount();
    vfs_.unmount();
    persist_.reset();
}

class Target {
  public:
    Target() : scratch_(empty_image()) {}

    void run(const u8* data, usize size)
    {
        LogWatch log;
        const u64 allocations = host::live_allocations();
        scratch_.reset();
        {
            Run run(scratch_);
            bool goes_on = true;
            for (usize i = 0; i < kMostOperations && 1 + (i + 1) * sizeof(Step) <= size && goes_on; i++) {
                Step step;
                std::memcpy(&step, data + 1 + i * sizeof step, sizeof step);
                goes_on = run.step(step);
            }
            if (goes_on)
                run.finish();
        }
        if (check_device(scratch_.device()).summary.problems)
            die("not clean in the end:\n" + check_device(scratch_.device()).text());
        if (host::live_allocations() != allocations)
            die("memory left behind");
    }

  private:
    Scratch scratch_;
};

}  // namespace

}  // namespace tarn::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace tarn::test;
    begin_input();
    static Target target;
    begin_input();
    target.run(data, size);
    return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed)
{
    return tarn::test::mutate_records<1, 4>(data, size, max_size, seed);
}
