# SPDX-License-Identifier: GPL-2.0
"""What scripts/module-check needs to know of a relocatable x86-64 ELF file: sections, symbols, relocations and the
disassembly (by objdump). Sections are known by index, because names may repeat."""

import collections
import re
import struct
import subprocess

SHT_RELA, SHT_SYMTAB = 4, 2
SHF_ALLOC, SHF_EXECINSTR = 2, 4
STB_LOCAL, STB_WEAK = 0, 2
STT_FUNC = 2
SHN_UNDEF, SHN_LORESERVE = 0, 0xFF00
R_PC32, R_PLT32 = 2, 4

Section = collections.namedtuple("Section", "index name type flags offset size link info")
Symbol = collections.namedtuple("Symbol", "name value size type bind section")
# Where a relocation patches, and the place it refers to (target is None for undefined and absolute symbols).
Relocation = collections.namedtuple("Relocation", "section offset type symbol addend")
Place = collections.namedtuple("Place", "section offset")
Instruction = collections.namedtuple("Instruction", "section offset mnemonic operands relocation")


class NotElf(Exception):
    pass


class Elf:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.data = file.read()
        if self.data[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<HH", self.data, 16) != (1, 62):
            raise NotElf(f"{path} is not a relocatable x86-64 object")
        self.sections = self._read_sections()
        self.symbols = self._read_symbols()
        self.relocations = [r for s in self.sections if s.type == SHT_RELA for r in self._read_relocations(s)]

    def _read_sections(self):
        table, = struct.unpack_from("<Q", self.data, 40)
        count, names = struct.unpack_from("<HH", self.data, 60)
        raw = [struct.unpack_from("<IIQQQQII", self.data, table + 64 * i) for i in range(count)]
        name_base = raw[names][4]
        return [Section(i, self._string(name_base + r[0]), r[1], r[2], r[4], r[5], r[6], r[7])
                for i, r in enumerate(raw)]

    def _string(self, offset):
        return self.data[offset:self.data.index(b"\0", offset)].decode()

    def _read_symbols(self):
        symbols = []
        for table in (s for s in self.sections if s.type == SHT_SYMTAB):
            strings = self.sections[table.link].offset
            for offset in range(table.offset, table.offset + table.size, 24):
                name, info, _, section, value, size = struct.unpack_from("<IBBHQQ", self.data, offset)
                symbols.append(Symbol(self._string(strings + name), value, size, info & 15, info >> 4, section))
        return symbols

    def _read_relocations(self, section):
        for offset in range(section.offset, section.offset + section.size, 24):
            where, info, addend = struct.unpack_from("<QQq", self.data, offset)
            yield Relocation(section.info, where, info & 0xFFFFFFFF, self.symbols[info >> 32], addend)

    def contents(self, section):
        return self.data[section.offset:section.offset + section.size]

    def named(self, pattern):
        """Allocated sections whose whole name matches."""
        return [s for s in self.sections if s.flags & SHF_ALLOC and re.fullmatch(pattern, s.name)]

    def code_sections(self):
        """Sections that run where they are (.altinstr_replacement is copied elsewhere first)."""
        return [s for s in self.sections if s.flags & SHF_EXECINSTR and s.size and "altinstr" not in s.name]

    def functions(self):
        code = {s.index for s in self.code_sections()}
        return [s for s in self.symbols if s.type == STT_FUNC and s.section in code and s.size
                and not s.name.startswith("__pfx_")]

    def undefined(self):
        return [s for s in self.symbols if s.section == SHN_UNDEF and s.name]

    def defined_globals(self):
        """Without those that merely name a piece of debug information."""
        return [s for s in self.symbols if s.bind != STB_LOCAL and s.name and 0 < s.section < SHN_LORESERVE
                and self.sections[s.section].flags & SHF_ALLOC]

    def places_listed_in(self, pattern):
        """The places that a table of 32-bit self-relative entries refers to, in order of the table."""
        tables = {s.index for s in self.named(pattern)}
        entries = sorted((r for r in self.relocations if r.section in tables), key=lambda r: (r.section, r.offset))
        return [self.place(r) for r in entries]

    @staticmethod
    def place(relocation):
        return Place(relocation.symbol.section, relocation.symbol.value + relocation.addend)

    def modinfo(self, key):
        for section in self.named(r"\.modinfo"):
            for entry in self.contents(section).split(b"\0"):
                if entry.startswith(key.encode() + b"="):
                    return entry.decode().split("=", 1)[1]
        return None

    def instructions(self):
        """Every instruction of the code sections, in order, each with its relocation if it has one."""
        by_place = {(r.section, r.offset): r for r in self.relocations}
        for section in self.code_sections():
            yield from self._disassemble(section, by_place)

    def _disassemble(self, section, by_place):
        # By file offset, not by name: a plain binary dump knows no two sections of one name.
        command = ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "-w", f"--start-address={section.offset}",
                   f"--stop-address={section.offset + section.size}", self.path]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for line in text.splitlines():
            match = re.match(r"\s*([0-9a-f]+):\t([0-9a-f ]+)\t(.*)", line)
            if not match:
                continue
            start = int(match[1], 16) - section.offset
            length = len(match[2].split())
            words = re.sub(r"\s*#.*", "", match[3]).split(None, 1)
            words = _without_prefix(words)
            found = next((by_place[section.index, start + i] for i in range(length)
                          if (section.index, start + i) in by_place), None)
            yield Instruction(section, start, words[0], words[1] if len(words) > 1 else "", found)


def _without_prefix(words):
    while len(words) > 1 and words[0] in ("rep", "repz", "repnz", "lock", "notrack", "bnd", "cs", "ds", "data16"):
        words = words[1].split(None, 1)
    return words or ["(none)"]
