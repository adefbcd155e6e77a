# SPDX-License-Identifier: GPL-2.0
"""Just enough of ELF to change kernel modules."""
import struct

SHT_RELA, SHF_ALLOC, SHF_INFO_LINK = 4, 0x2, 0x40
SHF_RELA_LIVEPATCH, SHN_LIVEPATCH, SHN_ABS = 0x00100000, 0xFF20, 0xFFF1

EHDR = struct.Struct('<16sHHIQQQIHHHHHH')
SHDR = struct.Struct('<IIQQQQIIQQ')
SYM = struct.Struct('<IBBHQQ')
RELA = struct.Struct('<QQq')


class Section:
    fields = ('name_at', 'type', 'flags', 'addr', 'offset', 'size', 'link',
              'info', 'align', 'entsize')

    def __init__(self, values, file=b''):
        for field, value in zip(self.fields, values):
            setattr(self, field, value)
        self.data = bytearray(file[self.offset:self.offset + self.size])

    def pack(self):
        return SHDR.pack(*(getattr(self, field) for field in self.fields))

    def entries(self, entry):
        return [list(e) for e in entry.iter_unpack(self.data)]

    def put(self, entry, entries):
        self.data = bytearray(b''.join(entry.pack(*e) for e in entries))


def string(table, at):
    return table.data[at:table.data.index(0, at)].decode()


def add_string(table, text):
    at = len(table.data)
    table.data += text.encode() + b'\0'
    return at


class Module:
    def __init__(self, path):
        with open(path, 'rb') as file:
            self.file = file.read()
        self.ehdr = list(EHDR.unpack_from(self.file))
        shoff, shnum, shstrndx = self.ehdr[6], self.ehdr[12], self.ehdr[13]
        self.sections = [
            Section(SHDR.unpack_from(self.file, shoff + i * SHDR.size),
                    self.file) for i in range(shnum)]
        self.shstrtab = self.sections[shstrndx]
        self.symndx = next(i for i, s in enumerate(self.sections)
                           if s.type == 2)
        self.symtab = self.sections[self.symndx]
        self.strtab = self.sections[self.symtab.link]

    def pack(self):
        """Return the file. What has changed or is new goes behind the rest."""
        out = bytearray(self.file)
        for section in self.sections:
            if section.type in (0, 8) or self.unchanged(section):
                continue
            out += bytes(-len(out) % 8)
            section.offset, section.size = len(out), len(section.data)
            out += section.data
        out += bytes(-len(out) % 8)
        self.ehdr[6], self.ehdr[12] = len(out), len(self.sections)
        out += b''.join(section.pack() for section in self.sections)
        out[:EHDR.size] = EHDR.pack(*self.ehdr)
        return out

    def unchanged(self, section):
        end = section.offset + section.size
        return self.file[section.offset:end] == section.data
