# SPDX-License-Identifier: GPL-2.0
"""Finds what the kernel complains of in a console log.

Only what follows "tarn-guest: kernel is up" counts: an emulator's oddities during boot are not ours. A test that
provokes a complaint on purpose says so in the log, and what is between these two lines does not count:
    echo 'tarn-guest: expect complaints' > /dev/kmsg
    echo 'tarn-guest: expect no complaints' > /dev/kmsg
"""

import re

SIGNS = re.compile("|".join([
    r"\bBUG: ", r"\bWARNING: ", r"\bOops: ", r"general protection fault", r"Kernel panic", r"kernel BUG at",
    r"UBSAN: ", r"KASAN: ", r"ODEBUG: ", r"KCSAN: ", r"\bINFO: (?!NMI handler)", r"cut here",
    r"possible circular locking", r"possible recursive locking", r"inconsistent lock state", r"suspicious RCU usage",
    r"lock held when returning", r"held lock freed", r"bad unlock balance", r"Invalid wait context",
    r"sleeping function called", r"scheduling while atomic", r"list_(add|del) corruption", r"refcount_t: ",
    r"kmemleak: [1-9]\d* new suspected", r"unreferenced object", r"Bad page (state|map)", r"Bad rss-counter",
    r"Unable to handle|unable to handle", r"objects remaining in|still has objects", r"Call Trace:",
    r"Out of memory: ", r"segfault at .* in (mkfs|fsck)\.tarnfs",
]))
BEGIN, END = "tarn-guest: expect complaints", "tarn-guest: expect no complaints"
UP = "tarn-guest: kernel is up"
SHOWN_LINES = 40


def find_complaint(path):
    """The first complaint and the lines after it, or None."""
    with open(path, errors="replace") as file:
        lines = file.read().splitlines()
    return first_complaint(lines, need_up=True)


def first_complaint(lines, need_up=False):
    counting = not need_up
    for index, line in enumerate(lines):
        if UP in line or END in line:
            counting = True
        elif BEGIN in line:
            counting = False
        elif counting and SIGNS.search(line):
            return "\n".join(lines[index:index + SHOWN_LINES])
    return None
