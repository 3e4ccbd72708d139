// SPDX-License-Identifier: GPL-2.0
// Result<T>: a value or an Error; TRY: go on with the value or return the error.
//
// Every failure has a code of its own; to_errno() folds them for userspace in one place (cxxrt/error.cpp).
#pragma once
#include <new>

#include "cxxrt/check.hpp"
#include "cxxrt/types.hpp"

namespace tarn {

enum class Error : u16 {
    kNone = 0,
    kNoMemory,           // ENOMEM
    kNoSpace,            // ENOSPC: no free block
    kNoInodes,           // ENOSPC: no free inode number
    kReadOnly,           // EROFS
    kShutDown,           // EIO: an earlier error, or a request, stopped all changes
    kRequested,          // EIO: shut down on request (as the reason of a shutdown; operations get kShutDown)
    kDeviceFlush,        // EIO: the device could not make stores durable
    kDeviceGone,         // EIO: the device was removed while mounted
    kPoison,             // EIO: the device reported an unreadable range
    kNotFound,           // ENOENT
    kExists,             // EEXIST
    kNotEmpty,           // ENOTEMPTY
    kNotDirectory,       // ENOTDIR
    kIsDirectory,        // EISDIR
    kNameTooLong,        // ENAMETOOLONG
    kTooManyLinks,       // EMLINK
    kOtherProject,       // EXDEV: a directory that takes inodes of its own project only
    kTooLarge,           // EFBIG
    kInvalid,            // EINVAL
    kBeyondEnd,          // ENXIO: behind the end of the file
    kNoXattr,            // ENODATA: no extended attribute of this name
    kNoRoom,             // ERANGE: the caller's buffer is too small
    kValueTooLong,       // E2BIG: value of an extended attribute
    kUnsupported,        // EOPNOTSUPP
    kFault,              // EFAULT: the caller's memory could not be read or written
    kBusy,               // EBUSY: pinned pages; the glue waits and retries
    kInterrupted,        // EINTR
    kStale,              // ESTALE: the inode number or generation names nothing any more
    kNotTarnfs,          // EINVAL: no superblock of ours
    kBadSuperblock,      // EUCLEAN: superblock and replica damaged
    kBadGeometry,        // EUCLEAN: superblock does not fit the device
    kUnknownFeature,     // EOPNOTSUPP: incompatible feature bits
    kBadJournal,         // EUCLEAN: journal header damaged
    kBadRecord,          // EUCLEAN: valid checksum, impossible contents
    kBadBitmap,          // EUCLEAN
    kBadInode,           // EUCLEAN
    kBadNode,            // EUCLEAN: tree node
    kBadExtent,          // EUCLEAN: block map entry
    kBadDirectory,       // EUCLEAN: directory entry
    kBadXattr,           // EUCLEAN: extended attribute
    kBadEntry,           // EIO: dirty-tracking entry of an unexpected kind
    kTransactionTooBig,  // EIO: an operation outgrew one journal record (our bug; reported, not fatal)
};

// Negative errno as the kernel spells it.
int to_errno(Error error);
// A few words for messages, never null.
const char* describe(Error error);
// True for damage found on the media (the kBad* codes).
bool is_corruption(Error error);

template <class T>
class [[nodiscard]] Result {
  public:
    Result(Error error) : error_(error) { TARN_ASSERT(error != Error::kNone); }
    Result(T value) : error_(Error::kNone) { new (&storage_.value) T(std::move(value)); }
    Result(Result&& other) : error_(other.error_)
    {
        if (is_ok())
            new (&storage_.value) T(std::move(other.storage_.value));
    }
    Result(const Result&) = delete;
    Result& operator=(const Result&) = delete;
    Result& operator=(Result&&) = delete;
    ~Result()
    {
        if (is_ok())
            storage_.value.~T();
    }

    bool is_ok() const { return error_ == Error::kNone; }
    explicit operator bool() const { return is_ok(); }
    Error error() const { return error_; }  // kNone when ok

    T& value() &
    {
        TARN_BUG_ON(!is_ok());
        return storage_.value;
    }
    const T& value() const&
    {
        TARN_BUG_ON(!is_ok());
        return storage_.value;
    }
    T take()
    {
        TARN_BUG_ON(!is_ok());
        return std::move(storage_.value);
    }

  private:
    union Storage {
        Storage() {}
        ~Storage() {}
        T value;
    } storage_;
    Error error_;
};

// What TRY yields for a Result<T&>: converts to T& (a statement expression cannot yield a reference itself).
template <class T>
struct Ref {
    T* pointer;
    operator T&() const { return *pointer; }
};

template <class T>
class [[nodiscard]] Result<T&> {
  public:
    Result(Error error) : error_(error) {}
    Result(T& value) : value_(&value) {}
    bool is_ok() const { return error_ == Error::kNone; }
    explicit operator bool() const { return is_ok(); }
    Error error() const { return error_; }
    T& value() const { return *value_; }
    Ref<T> take() const { return Ref<T>{value_}; }

  private:
    T* value_ = nullptr;
    Error error_ = Error::kNone;
};

struct Ok {};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result(Error error) : error_(error) {}
    Result(Ok) {}
    bool is_ok() const { return error_ == Error::kNone; }
    explicit operator bool() const { return is_ok(); }
    Error error() const { return error_; }
    void take() const {}
    // For the one place where a failure changes nothing for the caller: says so in the code.
    void ignore() const {}

  private:
    Error error_ = Error::kNone;
};

using Status = Result<void>;

}  // namespace tarn

// `T& x = TRY(...)` works for Result<T&>; `auto& x` does not: name the type. Nests: each use has its own variable.
#define TRY(expression) TARN_TRY_0(__COUNTER__, expression)
#define TARN_TRY_0(number, expression) TARN_TRY_1(number, expression)
#define TARN_TRY_1(number, expression) TARN_TRY_2(try_result_##number, expression)
#define TARN_TRY_2(result, expression)   \
    ({                                   \
        auto&& result = (expression);    \
        if (!result.is_ok()) [[unlikely]] \
            return result.error();       \
        result.take();                   \
    })
