#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What tests/guest/applications runs in the guest: programs that people use, at work below a directory.

  applications.py prepare DIRECTORY            makes what each needs
  applications.py work DIRECTORY NAME=N ...    all of them at once, for ever; what each has been promised to be durable is
                                               said by a number in /dev/virtio-ports/NAME. Those that have N wait there
  applications.py verify DIRECTORY NAME=N ...  after a power cut: everything up to N is there, and what is there is whole

Databases get transactions that are a function of their number, so that what they must hold after N of them is known.
Prints "ok" or "not ok" for each program.
"""

import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time

import lmdb

ROOT = os.environ["TARN_ROOT"]
POSTGRES = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
PACKAGES = 12
TREE = "tests/guest"  # of the checkout: what is copied and packed


def run(*command, **more):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


# ---- databases ------------------------------------------------------------------------------------------------------

def changes(number):
    """Transaction `number`: keys with their new values; None: the key goes."""
    chance = random.Random(number)
    for _ in range(3):
        key = chance.randrange(200)
        yield key, None if chance.random() < 0.15 else chance.randbytes(chance.randrange(1, 4000))


def contents_after(number):
    contents = {}
    for transaction in range(1, number + 1):
        for key, value in changes(transaction):
            contents.pop(key, None)
            if value is not None:
                contents[key] = value
    return contents


def compare(last, contents, acknowledged):
    assert last >= acknowledged, f"transaction {acknowledged} had been committed, {last} is the last that is there"
    wanted = contents_after(last)
    for key in sorted(wanted.keys() | contents.keys()):
        assert wanted.get(key) == contents.get(key), f"the value of key {key} is not that of transaction {last}"


class Sqlite:
    def __init__(self, path, journal):
        self.path, self.journal = path, journal

    def open(self):
        database = sqlite3.connect(self.path / "db", isolation_level=None)
        for pragma in (f"journal_mode={self.journal}", "synchronous=FULL", "mmap_size=67108864", "wal_autocheckpoint=50"):
            database.execute(f"PRAGMA {pragma}")
        return database

    def prepare(self):
        database = self.open()
        database.execute("CREATE TABLE kv(k INTEGER PRIMARY KEY, v BLOB)")
        database.execute("CREATE INDEX by_length ON kv(length(v))")
        database.execute("INSERT INTO kv VALUES(-1, 0)")
        database.close()

    def work(self, acknowledge):
        database = self.open()
        number = database.execute("SELECT v FROM kv WHERE k = -1").fetchone()[0]
        while True:
            number += 1
            database.execute("BEGIN")
            for key, value in changes(number):
                database.execute("DELETE FROM kv WHERE k = ?", (key,))
                if value is not None:
                    database.execute("INSERT INTO kv VALUES(?, ?)", (key, value))
            database.execute("UPDATE kv SET v = ? WHERE k = -1", (number,))
            database.execute("COMMIT")
            acknowledge(number)

    def verify(self, acknowledged):
        database = self.open()
        problems = database.execute("PRAGMA integrity_check").fetchall()
        assert problems == [("ok",)], f"integrity_check: {problems}"
        contents = dict(database.execute("SELECT k, v FROM kv"))
        compare(contents.pop(-1), contents, acknowledged)
        database.close()


class Lmdb:
    def __init__(self, path, writemap):
        self.path, self.writemap = path, writemap

    def open(self):
        return lmdb.open(str(self.path / "db"), map_size=32 << 20, writemap=self.writemap)

    def prepare(self):
        self.open().close()

    def work(self, acknowledge):
        environment = self.open()
        with environment.begin() as transaction:
            number = int(transaction.get(b"number", b"0"))
        while True:
            number += 1
            with environment.begin(write=True) as transaction:
                for key, value in changes(number):
                    transaction.delete(b"%d" % key)
                    if value is not None:
                        transaction.put(b"%d" % key, value)
                transaction.put(b"number", b"%d" % number)
            acknowledge(number)

    def verify(self, acknowledged):
        environment = self.open()
        with environment.begin() as transaction:
            contents = dict(transaction.cursor())
        last = int(contents.pop(b"number", b"0"))
        compare(last, {int(key): value for key, value in contents.items()}, acknowledged)
        environment.close()


class Postgres:
    """With every safety on, as it comes. It does not run as root."""

    def __init__(self, path):
        self.path = path
        self.data = path / "data"

    def prepare(self):
        os.chown(self.path, 65534, 65534)
        run(*NOBODY, POSTGRES / "initdb", "-D", self.data, "-k", "-A", "trust", "-U", "nobody", "--no-locale", "-E", "SQL_ASCII")
        with open(self.data / "postgresql.conf", "a") as file:
            file.write("listen_addresses = ''\nunix_socket_directories = '/tmp'\nshared_buffers = 1MB\nmax_connections = 5\n"
                       "dynamic_shared_memory_type = mmap\nautovacuum_naptime = 5s\nwal_keep_size = 0\nmax_wal_size = 32MB\n")
        server = self.start()
        self.ask("CREATE TABLE kv(k INTEGER PRIMARY KEY, v BYTEA)", "CREATE EXTENSION amcheck")
        self.stop(server)

    def start(self):
        log = open("/tmp/postgres.log", "wb")
        server = subprocess.Popen([*NOBODY, POSTGRES / "postgres", "-D", self.data], stdout=log, stderr=log, cwd="/")
        while subprocess.run([POSTGRES / "pg_isready", "-q", "-h", "/tmp"]).returncode != 0:
            assert server.poll() is None, "the server has ended: " + pathlib.Path("/tmp/postgres.log").read_text()
            time.sleep(0.2)
        return server

    def stop(self, server):
        server.terminate()
        assert server.wait() == 0, pathlib.Path("/tmp/postgres.log").read_text()

    def psql(self):
        return [str(POSTGRES / "psql"), "-qtAX", "-h", "/tmp", "-U", "nobody", "-v", "ON_ERROR_STOP=1", "postgres"]

    def ask(self, *statements):
        return run(*self.psql(), *[word for statement in statements for word in ("-c", statement)])

    def work(self, acknowledge):
        self.start()
        last = self.ask("SELECT v FROM kv WHERE k = -1").strip()
        number = int(bytes.fromhex(last[2:])) if last else 0
        session = subprocess.Popen(self.psql(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        put = "INSERT INTO kv VALUES({0}, '\\x{1}') ON CONFLICT (k) DO UPDATE SET v = '\\x{1}';\n"
        while True:
            number += 1
            text = "BEGIN;\n"
            for key, value in changes(number):
                text += f"DELETE FROM kv WHERE k = {key};\n" if value is None else put.format(key, value.hex())
            text += put.format(-1, (b"%d" % number).hex()) + "COMMIT;\n"
            text += "CHECKPOINT;\n" if number % 20 == 0 else ""
            session.stdin.write(text + "SELECT 'done';\n")
            session.stdin.flush()
            assert session.stdout.readline() == "done\n"
            acknowledge(number)

    def verify(self, acknowledged):
        server = self.start()
        self.ask("SELECT bt_index_check('kv_pkey', true)")
        contents = {}
        for line in self.ask("SELECT k, v FROM kv").splitlines():
            key, value = line.split("|")
            contents[int(key)] = bytes.fromhex(value[2:])
        compare(int(contents.pop(-1, b"0")), contents, acknowledged)
        self.stop(server)
        run(*NOBODY, POSTGRES / "pg_checksums", "--check", "-D", self.data)


# ---- trees ----------------------------------------------------------------------------------------------------------

class Git:
    """Clones this project's repository (or one made of its files), commits, and collects garbage."""

    def __init__(self, path):
        self.path = path
        self.clone = path / "clone"

    def git(self, *words, where=None):
        options = ["safe.directory=*", "core.fsync=all", "user.name=n", "user.email=e", "gc.autoDetach=false"]
        return run("git", *[word for option in options for word in ("-c", option)], *words, cwd=where or self.clone)

    def prepare(self):
        source = ROOT
        if not os.path.exists(f"{ROOT}/.git"):
            source = "/tmp/source"
            shutil.copytree(f"{ROOT}/{TREE}", source)
            for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
                self.git(*words, where=source)
        self.git("clone", "-q", "--bare", "--no-local", "--depth=60", f"file://{source}", str(self.path / "origin"), where="/")

    def work(self, acknowledge):
        if self.clone.exists():
            shutil.rmtree(self.clone)
        self.git("clone", "-q", "--no-local", f"file://{self.path}/origin", str(self.clone), where="/")
        acknowledge(1)
        number = 1
        while True:
            number += 1
            (self.clone / "README.md").write_text(f"{number}\n" * number)
            self.git("commit", "-qam", f"number {number}")
            if number % 6 == 0:
                self.git("gc", "-q", "--prune=now")
            acknowledge(number)

    def verify(self, acknowledged):
        self.git("fsck", "--full", where=self.path / "origin")
        if not acknowledged:
            return
        self.git("fsck", "--full")
        words = self.git("log", "-1", "--format=%s").split()
        last = int(words[1]) if words[0] == "number" else 1
        assert last >= acknowledged, f"commit {acknowledged} had returned, {last} is the last that is there"
        assert len(self.git("show", "HEAD:README.md").splitlines()) == last or last == 1, "README.md is another one"


class Rsync:
    def __init__(self, path):
        self.path = path
        self.source = path / "source"

    def prepare(self):
        shutil.copytree(f"{ROOT}/{TREE}", self.source, ignore=shutil.ignore_patterns("__pycache__"))
        for index, file in enumerate(sorted(path for path in self.source.rglob("*") if path.is_file())):
            os.chmod(file, 0o600 | index & 0o177)
            os.chown(file, index, 1000 - index)
            os.utime(file, ns=(index, 10**18 + index))
            if index % 7 == 0:
                os.link(file, f"{file}.link")
            if index % 5 == 0:
                os.symlink(f"../{file.name}", f"{file}.symlink")
            self.add_attributes(file, index)

    @staticmethod
    def add_attributes(file, index):
        os.setxattr(file, "user.index", b"%d" % index * (1 + index % 50))
        os.setxattr(file, "trusted.index", os.urandom(index * 100 % 6000))
        if index % 3 == 0:
            run("setfacl", "-m", f"u:{index + 1}:rw,g:{index + 7}:r", file)

    def work(self, acknowledge):
        number = max((int(path.name) for path in self.path.glob("[0-9]*")), default=0)
        while True:
            number += 1
            run("rsync", "-aHAX", "--fsync", f"{self.source}/", self.path / str(number))
            acknowledge(number)
            shutil.rmtree(self.path / str(number - 1), ignore_errors=True)

    def verify(self, acknowledged):
        copy = self.path / str(acknowledged)
        if not acknowledged:
            return
        assert copy.exists(), f"copy {acknowledged} is not there"
        said = run("rsync", "-naHAXci", "--delete", f"{self.source}/", copy)
        assert not said, f"copy {acknowledged} differs:\n{said}"


class Dpkg:
    """Installs packages below a root of its own."""

    def __init__(self, path):
        self.path = path
        self.root = path / "root"

    def dpkg(self, *words):
        return run("dpkg", f"--root={self.root}", "--force-bad-path", *words)

    def prepare(self):
        for directory in ("info", "updates", "triggers"):
            os.makedirs(self.root / "var/lib/dpkg" / directory)
        for file in ("status", "available"):
            (self.root / "var/lib/dpkg" / file).touch()
        files = sorted(path for path in pathlib.Path(ROOT, TREE).rglob("*") if path.is_file())
        for number in range(1, PACKAGES + 1):
            self.pack(f"package{number}", files[number::PACKAGES])

    def pack(self, name, files):
        tree = pathlib.Path("/tmp", name)
        os.makedirs(tree / "DEBIAN")
        os.makedirs(tree / "usr/share" / name)
        sums = []
        for file in files:
            shutil.copy(file, tree / "usr/share" / name / file.name)
            sums.append(run("md5sum", f"usr/share/{name}/{file.name}", cwd=tree))
        (tree / "DEBIAN/md5sums").write_text("".join(sums))
        (tree / "DEBIAN/control").write_text(f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: n <e@e>\n"
                                             f"Description: {name}\n")
        run("dpkg-deb", "-Znone", "-b", tree, self.path / f"{name}.deb")
        shutil.rmtree(tree)

    def work(self, acknowledge):
        for number in range(1, 1000):
            name = f"package{1 + number % PACKAGES}"
            self.dpkg("-i", str(self.path / f"{name}.deb"))
            acknowledge(number)

    def verify(self, acknowledged):
        for number in range(1, min(acknowledged, PACKAGES - 1) + 1):
            name = f"package{1 + number % PACKAGES}"
            status = self.dpkg("-s", name)
            assert "\nStatus: install ok " in status, f"package {number}: {status}"
            said = self.dpkg("--verify", name)
            assert not said, f"package {number}: {said}"
        self.dpkg("--configure", "-a")


def programs(directory):
    base = pathlib.Path(directory)
    return {
        "sqlite-wal": Sqlite(base / "sqlite-wal", "WAL"),
        "sqlite-rollback": Sqlite(base / "sqlite-rollback", "DELETE"),
        "lmdb-writemap": Lmdb(base / "lmdb-writemap", True),
        "lmdb": Lmdb(base / "lmdb", False),
        "postgres": Postgres(base / "postgres"),
        "git": Git(base / "git"),
        "rsync": Rsync(base / "rsync"),
        "dpkg": Dpkg(base / "dpkg"),
    }


def work(name, program, limit):
    with open(f"/dev/virtio-ports/{name}", "wb", buffering=0) as port:
        def acknowledge(number):
            port.write(b"%d\n" % number)
            while number >= limit:
                time.sleep(1)
        try:
            program.work(acknowledge)
        except Exception as problem:  # the host shows it
            port.write(f"{name}: {problem!r}\n".encode())
            raise


def main():
    action, directory, *numbers = sys.argv[1:]
    numbers = {name: int(number) for name, number in (word.split("=") for word in numbers)}
    if action == "work":
        for name, program in programs(directory).items():
            if os.fork() == 0:
                work(name, program, numbers[name])
        os.wait()
        return 1
    failed = 0
    for name, program in programs(directory).items():
        try:
            if action == "prepare":
                os.makedirs(program.path)
                program.prepare()
            else:
                program.verify(numbers[name])
                print(f"ok - {name}: everything up to {numbers[name]}", flush=True)
        except Exception as problem:
            print(f"not ok - {name}: {problem}", flush=True)
            failed = 1
            if action == "prepare":
                raise
    return failed


if __name__ == "__main__":
    sys.exit(main())
