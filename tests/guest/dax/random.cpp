// SPDX-License-Identifier: GPL-2.0
// Random operations on one file against a model in memory: reads, writes, mappings, truncation, fallocate, syncs, remounts.
// $SEED picks the sequence; a failure names seed and step.
#include <cstdlib>
#include <memory>
#include <random>

#include "harness.hpp"

namespace {

constexpr long kMost = 40 * kPage + 123;

class Player {
  public:
    explicit Player(unsigned seed) : random_(seed) { map(); }

    void play(long steps)
    {
        for (step_ = 0; step_ < steps; step_++)
            one();
        compare("end");
        forget_mappings();
        file_->shut();
        remount();
        file_->reopen();
        map();
        compare("after a remount");
    }
    long step() const { return step_; }

  private:
    long below(long bound) { return static_cast<long>(random_() % static_cast<unsigned long>(bound)); }
    long size() const { return static_cast<long>(model_.size()); }
    // Offsets near page boundaries and the end as often as others.
    long some_offset(long bound)
    {
        switch (below(4)) {
        case 0: return std::min(bound - 1, below(bound / kPage + 1) * kPage + below(3));
        case 1: return std::max(0L, std::min(bound, size()) - 1 - below(20));
        default: return below(bound);
        }
    }
    long some_length(long most) { return std::max(1L, std::min(most, below(3) ? below(3 * kPage) : below(200))); }
    std::string some_bytes(long length) { return pattern(length, static_cast<unsigned>(random_())); }

    void map()
    {
        one_ = std::make_unique<Mapping>(file_->fd, kMost + kPage);
        two_ = std::make_unique<Mapping>(file_->fd, kMost + kPage);
        own_ = std::make_unique<Mapping>(file_->fd, kMost + kPage, PROT_READ, MAP_PRIVATE);
    }
    void forget_mappings()
    {
        one_.reset();
        two_.reset();
        own_.reset();
    }
    Mapping& any() { return below(2) ? *one_ : *two_; }

    void put(long offset, const std::string& bytes)
    {
        if (size() < offset + static_cast<long>(bytes.size()))
            model_.resize(static_cast<size_t>(offset) + bytes.size());
        model_.replace(static_cast<size_t>(offset), bytes.size(), bytes);
    }
    void compare(const char* when)
    {
        std::string now = file_->read(0, kMost + kPage);
        if (now == model_)
            return;
        size_t at = 0;
        while (at < now.size() && at < model_.size() && now[at] == model_[at])
            at++;
        throw std::runtime_error(std::string(when) + ", step " + std::to_string(step_) + ": size " +
                                 std::to_string(now.size()) + " not " + std::to_string(model_.size()) + ", or differs at " +
                                 std::to_string(at));
    }
    void check_mapped(Mapping& mapping)
    {
        if (size() == 0)
            return;
        long offset = some_offset(size()), length = std::min(some_length(kMost), size() - offset);
        if (memcmp(&mapping[offset], model_.data() + offset, static_cast<size_t>(length)) != 0)
            throw std::runtime_error("step " + std::to_string(step_) + ": a mapping differs in " + std::to_string(length) +
                                     " bytes at " + std::to_string(offset));
    }

    void allocate()
    {
        long offset = some_offset(kMost), length = std::min(some_length(kMost) * 4, kMost - offset);
        constexpr int kModes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                  FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
        int mode = kModes[below(5)];
        if (length <= 0)
            return;
        must(fallocate(file_->fd, mode, offset, length));
        if (!(mode & FALLOC_FL_KEEP_SIZE) && size() < offset + length)
            model_.resize(static_cast<size_t>(offset + length));
        long end = std::min(size(), offset + length);
        if ((mode & ~FALLOC_FL_KEEP_SIZE) && offset < end)
            model_.replace(static_cast<size_t>(offset), static_cast<size_t>(end - offset), repeated(end - offset, '\0'));
    }

    // What is behind moves; refused where it would be too large, or there is nothing behind.
    void shift()
    {
        const long from = below(size() / kPage + 1) * kPage, length = (1 + below(20)) * kPage;
        if (below(2) && from + length < size()) {
            must(fallocate(file_->fd, FALLOC_FL_COLLAPSE_RANGE, from, length));
            model_.erase(static_cast<size_t>(from), static_cast<size_t>(length));
        } else if (from < size() && size() + length <= kMost) {
            must(fallocate(file_->fd, FALLOC_FL_INSERT_RANGE, from, length));
            model_.insert(static_cast<size_t>(from), static_cast<size_t>(length), '\0');
        }
    }

    void one()
    {
        long what = below(26);
        if (getenv("TRACE"))
            fprintf(stderr, "# step %ld: %ld, size %ld\n", step_, what, size());
        switch (what) {
        case 0:
        case 1:
        case 2: {
            long offset = some_offset(kMost);
            std::string bytes = some_bytes(std::min(some_length(kMost), kMost - offset));
            file_->write(offset, bytes);
            put(offset, bytes);
            break;
        }
        case 3:
        case 4:
        case 5:
        case 6: {
            if (size() == 0)
                break;
            long offset = some_offset(size());
            std::string bytes = some_bytes(std::min(some_length(kMost), size() - offset));
            memcpy(&any()[offset], bytes.data(), bytes.size());
            put(offset, bytes);
            break;
        }
        case 7: {  // behind the end, in its page: never to be seen
            long end = (size() + kPage - 1) / kPage * kPage;
            if (size() % kPage)
                memset(&any()[size()], 'G', static_cast<size_t>(end - size()));
            break;
        }
        case 8:
        case 9: {
            long to = below(4) ? some_offset(kMost) : 0;
            file_->size(to);
            model_.resize(static_cast<size_t>(to));
            break;
        }
        case 10: must(fsync(file_->fd)); break;
        case 11: must(fdatasync(file_->fd)); break;
        case 12: {
            long page = below(kMost / kPage);
            must(msync(&any()[page * kPage], static_cast<size_t>(below(4) + 1) * kPage, MS_SYNC));
            break;
        }
        case 13: {  // a source in the same file
            if (size() == 0)
                break;
            long from = some_offset(size()), length = std::min(some_length(kMost), size() - from);
            long to = some_offset(kMost - length);
            std::string bytes = model_.substr(static_cast<size_t>(from), static_cast<size_t>(length));
            bool apart = to >= from + length || from >= to + length;
            if (!apart || to + length > kMost)
                break;
            expect(must(pwrite(file_->fd, &any()[from], static_cast<size_t>(length), to)) == length);
            put(to, bytes);
            break;
        }
        case 14: check_mapped(*own_); break;
        case 15:
        case 16: check_mapped(any()); break;
        case 17: {
            long offset = some_offset(kMost), length = some_length(kMost);
            std::string wanted = offset < size() ? model_.substr(static_cast<size_t>(offset), static_cast<size_t>(length)) : "";
            if (file_->read(offset, length) != wanted)
                throw std::runtime_error("step " + std::to_string(step_) + ": read differs");
            break;
        }
        case 18: {
            if (size() == 0)
                break;
            long offset = some_offset(size());
            char value = static_cast<char>('A' + below(26));
            Child child([&] { any().v(offset) = value; });
            child.wait();
            put(offset, std::string(1, value));
            break;
        }
        case 19: must(madvise(one_->data, one_->length, MADV_DONTNEED)); break;
        case 20:
            forget_mappings();
            map();
            break;
        case 21:
        case 22:
        case 23: allocate(); break;
        case 24: shift(); break;
        default:
            if (below(6) == 0)
                compare("now and then");
        }
    }

    std::mt19937 random_;
    std::unique_ptr<File> file_ = std::make_unique<File>("random");
    std::unique_ptr<Mapping> one_, two_, own_;
    std::string model_;
    long step_ = 0;
};

void play(unsigned seed)
{
    try {
        Player(seed).play(3000 * soak());
    } catch (const std::exception& error) {
        throw std::runtime_error("seed " + std::to_string(seed) + ", " + error.what());
    }
}

}  // namespace

CASE("random", "first random sequence") { play(1); }
CASE("random", "second random sequence") { play(2); }
CASE("random", "third random sequence") { play(3); }
CASE("random", "a random sequence of the day") { play(static_cast<unsigned>(time(nullptr) / 86400)); }
