// SPDX-License-Identifier: GPL-2.0
#include "stress_worker.hpp"

#include <csignal>

namespace stress {

thread_local sigjmp_buf bus_return;
thread_local volatile bool bus_expected = false;

void catch_bus()
{
    struct sigaction action = {};
    action.sa_handler = [](int) {
        if (!bus_expected)
            abort();
        siglongjmp(bus_return, 1);
    };
    must(sigaction(SIGBUS, &action, nullptr));
}

namespace {

enum Operation {
    kStore,
    kStoreOften,
    kChild,
    kWrite,
    kWriteFromMapping,
    kPutMemory,
    kDirectIn,
    kDirectOut,
    kGetMemory,
    kPipe,
    kLoad,
    kRead,
    kSyncAll,
    kSyncRange,
    kSyncData,
    kForget,
    kProtect,
    kMapAnew,
    kMove,
    kOperations
};
constexpr const char* kNames[kOperations] = {"store",
                                             "several stores",
                                             "store of a child",
                                             "write",
                                             "write from the mapping",
                                             "process_vm_writev",
                                             "O_DIRECT into the mapping",
                                             "O_DIRECT from it",
                                             "process_vm_readv",
                                             "vmsplice",
                                             "load",
                                             "read",
                                             "fsync",
                                             "msync",
                                             "fdatasync",
                                             "MADV_DONTNEED",
                                             "mprotect",
                                             "map anew",
                                             "mremap"};
std::atomic<long> done[kOperations];

using Word = volatile uint64_t;

// As a process copies a slot to or from another one's memory. The debug kernel has no process_vm_writev.
long copy_remote(bool is_put, void* local, void* remote)
{
    iovec here{local, kSlotBytes}, there{remote, kSlotBytes};
    const long copied = is_put ? process_vm_writev(getpid(), &here, 1, &there, 1, 0)
                               : process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    if (copied >= 0 || errno != ENOSYS)
        return copied;
    static const int memory = must(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
    const auto at = reinterpret_cast<off_t>(remote);
    return is_put ? pwrite(memory, local, kSlotBytes, at) : pread(memory, local, kSlotBytes, at);
}

void put(char* to, uint64_t word)
{
    for (long i = 0; i < kWords; i++)
        reinterpret_cast<Word*>(to)[i] = word;
}

}  // namespace

void print_done()
{
    for (int what = 0; what < kOperations; what++)
        printf("# %s: %ld\n", kNames[what], done[what].load());
}

void Worker::fill_sector(uint64_t word) { put(reinterpret_cast<char*>(sector_), word); }

void Worker::take(const char* from)
{
    for (long i = 0; i < kWords; i++)
        sector_[i] = reinterpret_cast<const Word*>(from)[i];
}

// Some mappings have 2 MiB pages, some have none.
void Worker::map(long file)
{
    auto& map = maps_[static_cast<size_t>(file)];
    map.reset();
    is_split_[static_cast<size_t>(file)] = false;
    map = std::make_unique<Mapping>(files_[static_cast<size_t>(file)]->file.fd, kBytes);
    if (below(3) == 0)
        must(madvise(map->data, map->length, MADV_NOHUGEPAGE));
}

// To addresses that are apart from the file's 2 MiB by a page; what mprotect has split cannot be moved.
void Worker::move(long file)
{
    if (is_split_[static_cast<size_t>(file)])
        return map(file);
    Mapping& map = *maps_[static_cast<size_t>(file)];
    auto* room = static_cast<char*>(
        must(mmap(nullptr, map.length + kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
    char* to = room + (kHuge - reinterpret_cast<long>(room) % kHuge) % kHuge + kPage;
    to = to + map.length > room + map.length + kHuge ? room : to;
    map.data =
        static_cast<char*>(must(mremap(map.data, map.length, map.length, MREMAP_MAYMOVE | MREMAP_FIXED, to)));
    if (to > room)
        must(munmap(room, static_cast<size_t>(to - room)));
    if (to < room + kHuge)
        must(munmap(to + map.length, static_cast<size_t>(room + kHuge - to)));
}

// `how` stores the stamp that it is given, and says whether it has done so wholly. Before it hides what is
// there, that is looked at.
template <class Store>
void Worker::store(Place at, Store how)
{
    if (below(2))
        read(at, "a read before a store");
    Record& known = record(at);
    Record next;
    next.last = stamp(at.file, number_, ++stores_);
    next.may_be_zero = false;
    next.ended_before = wipes(at).ended;
    const bool whole = how(next.last);
    next.begun_after = wipes(at).begun;
    if (!whole) {
        if (next.begun_after == next.ended_before)
            throw std::runtime_error("a store was refused while nothing shortened the file, page " +
                                     std::to_string(at.page));
        next.other = known.last;
        next.may_be_zero = true;
    }
    known = next;
}

// `load` puts the slot's words into sector_, and says whether it could.
template <class Load>
void Worker::check(Place at, const char* how, Load load)
{
    Record& known = record(at);
    const uint32_t ended = wipes(at).ended;
    const bool loaded = load();
    const uint32_t begun = wipes(at).begun;
    const bool was_wiped = ended > known.begun_after, may_be_wiped = begun > known.ended_before;
    if (!loaded && begun == ended)
        throw std::runtime_error(std::string(how) + ": refused while nothing shortened the file, page " +
                                 std::to_string(at.page));
    for (long i = 0; loaded && i < kWords; i++) {
        const uint64_t word = sector_[i];
        const bool good = word == 0 ? known.may_be_zero || may_be_wiped
                                    : !was_wiped && (word == known.last || word == known.other);
        if (good)
            continue;
        char text[300];
        snprintf(text, sizeof text,
                 "%s: file %ld, page %ld, slot %ld, word %ld is %llx; last stored %llx, or %llx; wipes: %u "
                 "had ended and %u "
                 "begun around that store, %u ended and %u begun now",
                 how, at.file, at.page, number_, i, static_cast<unsigned long long>(word),
                 static_cast<unsigned long long>(known.last), static_cast<unsigned long long>(known.other),
                 known.ended_before, known.begun_after, ended, begun);
        throw std::runtime_error(text);
    }
}

// The child has all mappings, and what is writable in them.
bool Worker::store_of_child(Place at, uint64_t word)
{
    const pid_t child = must(fork());
    if (child == 0)
        _exit(reaches([&] { put(slot(at), word); }) ? 0 : 1);
    int status = 0;
    must(waitpid(child, &status, 0));
    expect(WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

// The source may be a hole, may go while it is copied from, and lies in the file that is written to.
void Worker::write_from_mapping(Place from)
{
    const Place to{from.file, below(kPages)};
    const Record source = record(from);
    if (to.page == from.page || source.other || record(to).other)
        return;
    Record next = source;
    next.ended_before = wipes(to).ended;
    const long wrote = pwrite(fd_of(to), slot(from), kSlotBytes, offset_of(to));
    next.begun_after = wipes(to).begun;
    next.may_be_zero = source.may_be_zero || wipes(from).begun > source.ended_before;
    if (wrote != kSlotBytes) {
        expect(wrote >= 0 || errno == EFAULT);
        expect(wipes(from).begun > source.ended_before);
        next.other = record(to).last;
        next.may_be_zero = true;
    }
    record(to) = next;
}

bool Worker::pipe_it(Place at)
{
    int ends[2];
    must(pipe(ends));
    iovec piece{slot(at), kSlotBytes};
    const long put = vmsplice(ends[1], &piece, 1, 0);
    const bool pinned = put == kSlotBytes;
    if (!pinned)
        expect(put < 0 && errno == EFAULT);
    if (pinned && below(4) == 0)
        must(fsync(fd_of(at)));
    const bool got = pinned && must(::read(ends[0], sector_, kSlotBytes)) == kSlotBytes;
    close(ends[0]);
    close(ends[1]);
    return got;
}

bool Worker::direct_out(Place at)
{
    const long put = pwrite(other_, slot(at), kSlotBytes, number_ * kPage);
    if (put < 0)
        expect(errno == EFAULT);
    return put == kSlotBytes && must(pread(other_, sector_, kSlotBytes, number_ * kPage)) == kSlotBytes;
}

void Worker::one()
{
    // What makes the mappings anew is rare, so that there is something in them.
    const auto what = static_cast<Operation>(below(5) ? below(kForget) : below(kOperations));
    const Place at = some_place();
    const auto by_memory = [&](bool is_put) { return copy_remote(is_put, sector_, slot(at)) == kSlotBytes; };
    const auto by_store = [&](uint64_t word) { return reaches([&] { put(slot(at), word); }); };
    const auto by_load = [&] { return reaches([&] { take(slot(at)); }); };
    Mapping& map_of_it = *maps_[static_cast<size_t>(at.file)];
    switch (what) {
        case kStore: store(at, by_store); break;
        case kStoreOften:
            for (long page = at.page; page < std::min(at.page + 12, kPages); page++)
                store({at.file, page}, [&](uint64_t word) {
                    return reaches([&] { put(slot({at.file, page}), word); });
                });
            break;
        case kChild:
            if (below(12) == 0)
                store(at, [&](uint64_t word) { return store_of_child(at, word); });
            break;
        case kWrite: write(at); break;
        case kWriteFromMapping: write_from_mapping(at); break;
        case kPutMemory:
            store(at, [&](uint64_t word) {
                fill_sector(word);
                return by_memory(true);
            });
            break;
        case kDirectIn:
            store(at, [&](uint64_t word) {
                fill_sector(word);
                expect(must(pwrite(other_, sector_, kSlotBytes, number_ * kPage)) == kSlotBytes);
                return pread(other_, slot(at), kSlotBytes, number_ * kPage) == kSlotBytes;
            });
            break;
        case kDirectOut: check(at, kNames[what], [&] { return direct_out(at); }); break;
        case kGetMemory: check(at, kNames[what], [&] { return by_memory(false); }); break;
        case kPipe: check(at, kNames[what], [&] { return pipe_it(at); }); break;
        case kLoad: check(at, kNames[what], by_load); break;
        case kRead: read(at, kNames[what]); break;
        case kSyncAll: must(fsync(fd_of(at))); break;
        case kSyncRange:
            must(msync(map_of_it.data + at.page * kPage,
                       static_cast<size_t>(std::min(9L, kPages - at.page)) * kPage, MS_SYNC));
            break;
        case kSyncData: must(fdatasync(fd_of(at))); break;
        case kForget: must(madvise(map_of_it.data, map_of_it.length, MADV_DONTNEED)); break;
        case kProtect:
            is_split_[static_cast<size_t>(at.file)] = true;
            must(mprotect(map_of_it.data + at.page * kPage, kPage, PROT_READ));
            must(mprotect(map_of_it.data + at.page * kPage, kPage, PROT_READ | PROT_WRITE));
            break;
        case kMapAnew: map(at.file); break;
        case kMove: move(at.file); break;
        case kOperations: break;
    }
    done[what]++;
    if (below(4) == 0)
        check(at, "a load after it", by_load);
}

void Worker::write(Place at)
{
    store(at, [&](uint64_t word) {
        fill_sector(word);
        return must(pwrite(fd_of(at), sector_, kSlotBytes, offset_of(at))) == kSlotBytes;
    });
}

void Worker::read(Place at, const char* why)
{
    check(at, why, [&] { return must(pread(fd_of(at), sector_, kSlotBytes, offset_of(at))) == kSlotBytes; });
}

void Worker::check_all()
{
    for (long file = 0; file < kFiles; file++)
        for (long page = 0; page < kPages; page++)
            read({file, page}, "in the end");
}

}  // namespace stress
