# SPDX-License-Identifier: GPL-2.0-or-later
# race.py FOLDER WHO ALL SECONDS: programs at once on few names of FOLDER, which ALL such (WHO is one of them) use at the same time.
# What it counts is printed as JSON; what must not be is said under "wrong".
import errno, json, os, random, sys, time

folder, who, everybody, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
PROGRAMS = 4
FEW = 4
# A name or an inode that went away, or is there already.
FINE = {errno.ENOENT, errno.EEXIST, errno.ESTALE, errno.ENODATA}
counts = {"made": [0] * FEW, "removed": [0] * FEW, "moved": 0, "appended": 0, "whole": 0, "done": 0, "wrong": []}


def attempt(call, *args):
    """Whether it succeeded; what others' doings do not account for is wrong."""
    try:
        call(*args)
        counts["done"] += 1
        return True
    except OSError as error:
        if error.errno not in FINE:
            counts["wrong"].append(f"{call.__name__}{args}: {error}")
        return False


def write(path, flags, data):
    fd = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        if os.write(fd, data) != len(data):
            counts["wrong"].append(f"{path}: a short write")
    finally:
        os.close(fd)


def look(path):
    os.stat(path)
    os.setxattr(path, "user.race", who.encode())
    os.getxattr(path, "user.race")
    with open(path, "r+b") as file:
        file.write(b"x" * random.randrange(5000))
        file.seek(0)
        file.read()


def anything(me):
    """Everything on the same names."""
    one, other = f"f{random.randrange(FEW)}", f"f{random.randrange(FEW)}"
    attempt(*random.choice([
        (write, one, os.O_CREAT, b"y" * 3000), (look, one), (os.rename, one, other), (os.unlink, one),
        (os.link, one, other), (os.truncate, one, random.randrange(9000)), (os.listdir, "."), (os.chmod, one, 0o600),
        (os.mkdir, "d"), (os.rmdir, "d")]))


def exclusive(me):
    """Who makes a file by O_EXCL is alone, and who removes it, too."""
    n = random.randrange(FEW)
    if random.random() < 0.5:
        counts["made"][n] += attempt(write, f"e{n}", os.O_CREAT | os.O_EXCL, b"")
    else:
        counts["removed"][n] += attempt(os.unlink, f"e{n}")


def move(me):
    """What is moved neither multiplies nor is lost."""
    n, way = random.randrange(FEW), random.choice(["ab", "ba"])
    counts["moved"] += attempt(os.rename, f"{way[0]}/t{n}", f"{way[1]}/t{n}")


def append(me):
    """Each line is there once, and whole."""
    line = f"{who} {me} {counts['appended']}".ljust(31) + "\n"
    counts["appended"] += attempt(write, "log", os.O_APPEND, line.encode())


def replace(me):
    """A file that another takes the place of is the one or the other."""
    name = f"w{random.randrange(FEW)}"
    if random.random() < 0.5:
        byte = random.randrange(256)
        write(f"new.{who}.{me}", os.O_CREAT | os.O_TRUNC, bytes([byte]) * 1000 * (byte + 1))
        attempt(os.rename, f"new.{who}.{me}", name)
        return
    try:
        with open(name, "rb", buffering=0) as file:
            data = file.read()
    except OSError as error:
        if error.errno not in FINE:
            counts["wrong"].append(f"{name}: {error}")
        return
    if data != data[:1] * 1000 * (data[0] + 1 if data else 1):
        counts["wrong"].append(f"{name}: {len(data)} bytes, {sorted(set(data))}")
    counts["whole"] += 1


def program(me, out):
    random.seed(f"{who} {me}")
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(counts["wrong"]) < 5:
        try:
            random.choice([anything, exclusive, move, append, replace])(me)
        except Exception as error:
            counts["wrong"].append(repr(error))
    os.write(out, (json.dumps(counts) + "\n").encode())
    os._exit(0)


os.chdir(folder)
write(f"ready.{who}", os.O_CREAT, b"")
while sum(name.startswith("ready.") for name in os.listdir(".")) < everybody:
    time.sleep(0.05)
for me in range(PROGRAMS):
    if os.fork() == 0:
        program(me, 1)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
