// SPDX-License-Identifier: GPL-2.0
// Power cuts at every fence of an operation on file contents. What was stored since the last fence may have arrived or
// not: nothing of it, words at random, and, the hardest, the journal's lines without the data's.
#pragma once
#include <random>

#include "tests/host/file_fixture.hpp"
#include "tests/host/support/persist_model.hpp"

namespace tarn::test {

// A file before and after an operation, and what may be seen in between.
class FilePowerCut : public FileTest {
  protected:
    // A fence completes what its processor has sent: the thread stays on one.
    explicit FilePowerCut(u64 blocks = 4096) : FileTest(blocks) { host::pretend_cpu(0); }
    ~FilePowerCut() override { host::pretend_cpu(-1); }

    // Runs `operation` and looks at every state a power cut could leave: `legal` says whether the contents may be so.
    template <class Operation, class Legal>
    void cut(Operation operation, Legal legal)
    {
        images_.clear();
        {
            PersistModel model(device, [](void* self) { static_cast<FilePowerCut*>(self)->take(); }, this);
            model_ = &model;
            operation();
            take();
            least_ = model.least();
        }
        model_ = nullptr;
        for (const auto& image : images_) {
            std::string found = contents_of_image(image);
            ASSERT_TRUE(legal(found)) << found.size() << " bytes, of " << images_.size() << " states";
        }
        EXPECT_GE(images_.size(), 3u);
    }
    // What it must be once the operation of the last cut() has returned, whatever is lost.
    void settled(const std::string& contents) { EXPECT_TRUE(contents_of_image(least_) == contents); }

    // What an fsync would have promised in the middle of the operation, which finds nothing dirty then.
    template <class Operation>
    std::vector<std::string> promised_in(Operation operation)
    {
        struct Watch {
            DirtyTracker& tracker;
            PersistModel* model;
            std::vector<std::vector<std::byte>> images;
        } watch{InodeObject::of(file->inode()).tracker, nullptr, {}};
        {
            PersistModel model(
                device,
                [](void* context) {
                    auto& w = *static_cast<Watch*>(context);
                    if (!w.tracker.has_dirty())
                        w.images.push_back(w.model->least());
                },
                &watch);
            watch.model = &model;
            operation();
        }
        std::vector<std::string> promised;
        for (const auto& image : watch.images)
            promised.push_back(contents_of_image(image));
        EXPECT_GE(promised.size(), 1u);
        return promised;
    }

    static bool either(const std::string& found, const std::string& before, const std::string& after)
    {
        return found == before || found == after;
    }
    // Every aligned word is that of one or the other.
    static bool words_of(const std::string& found, const std::string& before, const std::string& after)
    {
        if (found.size() != before.size() || before.size() != after.size())
            return false;
        for (u64 at = 0; at < found.size(); at += kWordSize) {
            std::string word = found.substr(at, kWordSize);
            if (word != before.substr(at, kWordSize) && word != after.substr(at, kWordSize))
                return false;
        }
        return true;
    }

  private:
    void take()
    {
        images_.push_back(model_->least());
        images_.push_back(model_->some(random_));
        images_.push_back(journal_first());
    }
    std::vector<std::byte> journal_first()
    {
        const Layout& layout = InodeObject::of(file->inode()).inode.fs.volume().layout();
        std::vector<std::byte> image = model_->least(), most = model_->most();
        auto from = static_cast<long>(layout.journal_start.value * kBlockSize);
        auto to = from + static_cast<long>(u64{layout.journals} * layout.journal_blocks * kBlockSize);
        std::copy(most.begin() + from, most.begin() + to, image.begin() + from);
        return image;
    }

    PersistModel* model_ = nullptr;
    std::mt19937_64 random_{1};
    std::vector<std::vector<std::byte>> images_;
    std::vector<std::byte> least_;  // when it had returned
};

}  // namespace tarn::test
