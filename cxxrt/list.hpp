// SPDX-License-Identifier: GPL-2.0
// List<T>: an intrusive doubly linked list. T derives from ListNode<T>; an object is in one list at a time, and the
// list owns nothing. No allocation, no failure. Locking is the owner's.
#pragma once
#include "cxxrt/check.hpp"
#include "cxxrt/types.hpp"

namespace tarn {

template <class T>
class List;

template <class T>
class ListNode {
  public:
    ListNode() = default;
    ListNode(const ListNode&) = delete;
    ListNode& operator=(const ListNode&) = delete;
    ~ListNode() { TARN_ASSERT(!is_linked()); }
    bool is_linked() const { return next_ != nullptr; }

  private:
    friend class List<T>;
    ListNode* next_ = nullptr;
    ListNode* previous_ = nullptr;
};

template <class T>
class List {
  public:
    List() { head_.next_ = head_.previous_ = &head_; }
    ~List()
    {
        TARN_ASSERT(empty());
        head_.next_ = head_.previous_ = nullptr;
    }
    List(const List&) = delete;
    List& operator=(const List&) = delete;

    bool empty() const { return head_.next_ == &head_; }
    void push_back(T& item) { insert(head_.previous_, item, &head_); }
    void push_front(T& item) { insert(&head_, item, head_.next_); }
    void remove(T& item)
    {
        ListNode<T>& node = item;
        TARN_ASSERT(node.is_linked());
        node.previous_->next_ = node.next_;
        node.next_->previous_ = node.previous_;
        node.next_ = node.previous_ = nullptr;
    }
    // First element or null.
    T* front() const { return empty() ? nullptr : static_cast<T*>(head_.next_); }
    T* pop_front()
    {
        T* item = front();
        if (item)
            remove(*item);
        return item;
    }
    // Element after `item` or null.
    T* next(T& item) const
    {
        ListNode<T>* node = static_cast<ListNode<T>&>(item).next_;
        return node == &head_ ? nullptr : static_cast<T*>(node);
    }

  private:
    static void insert(ListNode<T>* before, T& item, ListNode<T>* after)
    {
        ListNode<T>& node = item;
        TARN_ASSERT(!node.is_linked());
        node.previous_ = before;
        node.next_ = after;
        before->next_ = &node;
        after->previous_ = &node;
    }
    ListNode<T> head_;
};

}  // namespace tarn
