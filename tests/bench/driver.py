# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the benchmarks on the KVM host that this runs on; tests/bench/run starts it. Prints one line each:

    NAME lodge=X peer=Y UNIT better=R (95% LOW..HIGH; A/A LOW..HIGH; peer NAME; counts lodge|peer)
"""

import argparse
import copy
import itertools
import mmap
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import balloon
import bulk
import clock
import counts
import display
import floors
import machines
import rpc
from stats import Series

ROUNDS = {"boot": 4, "boot.stock": 2, "fs": 6, "blk": 6, "rpc": 6, "bulk": 2, "display": 4, "balloon": 3, "clock": 4}
# A peer that costs so many times the best one's after two rounds is timed no more: it only eats time.
HOPELESS = 1.5
# And one that costs so many times the best one's in its first run is timed no more at all.
HOPELESS_AT_ONCE = 4
DISK_MIB = 256
MANY_FILES = 10000  # of fsjobs.c
EXT4_MIB = 512
PAUSE = 15  # seconds between two jobs of memory.private's time of use

FS_ROWS = ["fs.write", "fs.read", "fs.rand4k", "fs.mmap", "fs.mmap-read", "fs.mmap-again",
           "fs.create", "fs.stat", "fs.open", "fs.readdir", "fs.readdir-again", "fs.ls", "fs.unlink",
           "fs.ls-many", "fs.create-many", "fs.git-status", "fs.untar", "fs.readers", "fs.floor"]
# The jobs of fs.* on large files, on a host's file system with small pages, and without Lodge's DAX window.
EXT4_ROWS = ["fs-ext4.write", "fs-ext4.read", "fs-ext4.rand4k", "fs-ext4.mmap"]
EXT4_DAX_ROWS = ["fs-ext4-dax.read", "fs-ext4-dax.rand4k", "fs-ext4-dax.mmap"]
NO_DAX_ROWS = ["fs-nodax.write", "fs-nodax.read", "fs-nodax.rand4k", "fs-nodax.mmap"]
# The same in a guest whose kernel has no virtiofs, against one that has.
FS2_NO_DAX_ROWS = ["fs2-nodax.write", "fs2-nodax.read", "fs2-nodax.rand4k"]
FS2_ROWS = [row.replace("fs.", "fs2.") for row in FS_ROWS if row not in ("fs.mmap-again", "fs.floor")]
# And against 9p, which such a guest has, too.
FS2_9P_ROWS = [row.replace("fs2.", "fs2-9p.") for row in FS2_ROWS]
# The DAX window against memory that is the guest's own.
TMPFS_ROWS = ["fs-tmpfs.mmap", "fs-tmpfs.mmap-read", "fs-tmpfs.mmap-again"]
BLK_ROWS = ["blk.read-seq-qd1", "blk.read-seq-qd32", "blk.write-seq-qd32", "blk.read-4k-qd1",
            "blk.read-4k-qd32", "blk.write-4k-qd32"]
RPC_ROWS = ["rpc.virtio", "rpc.port", "rpc.ioports"]
BULK_ROWS = ["rpc.exec-bulk"]
BALLOON_ROWS = ["balloon.inflate", "balloon.untouched", "balloon.deflate"]
CLOCK_ROWS = ["clock.read", "clock.offset", "clock.system"]
DISPLAY_ROWS = ["display.resize", "display.script", "display.idle"]
# More for the kernel's command line. boot.lean leaves out what takes the guest's kernel a third of its time
# whoever runs it: tests of its own ciphers, and patching for a single processor.
BOOT_APPEND = {"boot.start": "", "boot.lean": " cryptomgr.notests noreplace-smp", "boot.stock": "", "boot.entry": ""}
NAMES = (["boot.start", "boot.lean", "boot.stock", "boot.entry", "memory.private"] + FS_ROWS + EXT4_ROWS +
         EXT4_DAX_ROWS + NO_DAX_ROWS + TMPFS_ROWS + FS2_ROWS + FS2_NO_DAX_ROWS + FS2_9P_ROWS +
         BLK_ROWS + RPC_ROWS + BULK_ROWS + BALLOON_ROWS + CLOCK_ROWS + DISPLAY_ROWS)


class Environment:
    """Where things are."""

    def __init__(self, args):
        self.build = args.build
        self.kernel = args.kernel
        self.rounds = args.rounds
        self.minutes = args.minutes
        self.mib = args.mib
        self.quick = args.quick
        self.full = args.full
        self.seconds = args.seconds or (8 if args.quick else 15)
        self.idle_seconds = min(self.seconds, 3 if args.quick else 10)

    def program(self, name):
        """A program of this build."""
        return os.path.join(self.build, "bin", name)

    def packed_kernel(self):
        """The distribution's image of the same kernel: build/lab/vmlinux-VERSION is named so."""
        return "/boot/vmlinuz-" + os.path.basename(self.kernel).removeprefix("vmlinux-")

    def initramfs(self, which):
        """boot: init alone; devices: with the modules of the devices under test."""
        return os.path.join(self.build, "bench", which + ".cpio")


def show(value):
    """A number for people."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def print_row(name, series, rate, unit, peers, notes=""):
    """rate turns a median cost into what is shown. The better peer is the one that counts."""
    peer = min(peers, key=series.median)
    others = [f"{p}={show(rate(series.median(p)))}" for p in peers if p != peer]
    control = series.control(peer)
    if "lodge" in series.names:
        ratio, (low, high) = series.better("lodge", peer)
        ours, verdict = show(rate(series.median("lodge"))), f"better={ratio:.2f}"
        detail = f"95% {low:.2f}..{high:.2f}; A/A {control[0]:.2f}..{control[1]:.2f}; peer {peer}"
    else:
        ours, verdict = "-", "better=-"
        detail = f"A/A {control[0]:.2f}..{control[1]:.2f}; peer {peer}"
    detail += "".join("; " + text for text in others) + notes
    print(f"{name} lodge={ours} peer={show(rate(series.median(peer)))} {unit} {verdict} ({detail})",
          flush=True)
    return peer


def lodge_or_nothing(env, make):
    """Lodge's machine in a list, or an empty list where it is not built."""
    return [make(machines.Lodge, "lodge")] if machines.has_lodge(env) else []


def sparse_copy(source, target):
    """A copy with holes where the file has zeroes, as the linker that made it would leave them."""
    with open(source, "rb") as old, open(target, "wb") as new:
        while piece := old.read(1 << 16):
            if piece.count(0) == len(piece):
                new.seek(len(piece), os.SEEK_CUR)
            else:
                new.write(piece)
        new.truncate(old.tell())
    return target


def settle_memory():
    """Takes, clears and gives back what the last machine left. An emulated host keeps translations of code by
    page, and whoever gets such a page next pays for their end: 50 ms for each 2 MiB."""
    size = 2 * machines.MEMORY_MIB << 20
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, size, 1 << 20):
            memory[at] = 1


def bench_boot(env, work, rows):
    """From the start of the monitor to the first instruction of the guest's init."""
    for row in rows:
        boot_row(env, work, row, machines.APPEND + BOOT_APPEND[row])


def boot_row(env, work, row, append):
    """One row: starts of fresh machines, in turn."""
    def make(kind, name):
        own = copy.copy(env)
        if row == "boot.stock" and kind is not machines.Lodge:
            own.kernel = shutil.copy(env.packed_kernel(), work)
        else:
            # Each has its own: QEMU maps the file, and reading a mapped hole fills it.
            own.kernel = sparse_copy(env.kernel, os.path.join(work, "vmlinux-" + name))
        return kind(name, own, work, initramfs=env.initramfs("boot"), append=append)
    vms = lodge_or_nothing(env, make) + [make(machines.QemuMicrovm, "microvm")]
    series = Series([vm.name for vm in vms])
    exits = {}
    watch = counts.EntryWatch()
    if row == "boot.entry" and not watch.works:
        print("bench: boot.entry is left out: it wants root and tracefs", file=sys.stderr)
        return

    def enter(vm):
        """Until the guest's first instruction alone."""
        settle_memory()
        watch.start()
        began = vm.start()
        entry = watch.wait(20)
        vm.process.kill()
        vm.stop()
        if not entry:
            raise machines.BenchError(f"{vm.name}: no entry was traced")
        return entry - began

    def once(vm):
        if row == "boot.entry":
            return enter(vm)
        settle_memory()
        began = vm.start()
        took = vm.wait_up() - began
        exits.setdefault(vm.name, []).append(counts.read_kvm(vm.process.pid, "exits"))
        vm.stop()
        return took
    for vm in vms:
        once(vm)
    by_name = {vm.name: vm for vm in vms}
    for _ in range(env.rounds or ROUNDS.get(row, ROUNDS["boot"])):
        took = {}
        for name in series.order():
            took.setdefault(name, []).append(once(by_name[name]))
        for name, pair in took.items():
            series.add(name, pair)
    notes = "; exits to init " + "|".join(
        show(statistics.median(exits[n])) if None not in exits[n] else "-" for n in series.names) if exits else ""
    print_row(row, series, lambda s: s * 1000, "ms", ["microvm"], notes)


def use_for(minutes, vms):
    """A program at work in each guest now and then, as on somebody's desk."""
    jobs = itertools.cycle(["fs.stat", "fs.write", "fs.create", "fs.read", "fs.open", "fs.unlink"])
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        job = next(jobs)
        for vm in vms:
            vm.job(job)
        time.sleep(max(0, min(PAUSE, end - time.monotonic())))


def bench_memory(env, work, _rows):
    """Private memory of all processes of a VM with a shared folder, beyond the guest's own."""
    folder = os.path.join(work, "shared")

    def make(kind, name):
        make_many(os.path.join(folder, name, "many"))
        return kind(name, env, work, initramfs=env.initramfs("devices"), folder=os.path.join(folder, name))
    vms = lodge_or_nothing(env, make) + [make(machines.QemuVirtiofs, "qemu")]
    try:
        start_all(vms)
        for vm in vms:
            vm.ask(vm.mount())
            for job in ("fs.write", "fs.read", "fs.stat"):
                vm.job(job)
        use_for(env.minutes, vms)
        shown = {vm.name: [kib / 1024 for kib in counts.own_memory(vm.pids(), machines.MEMORY_MIB, work)]
                 for vm in vms}
    finally:
        for vm in vms:
            vm.stop()
    lodge, lodge_rss = shown.get("lodge", (None, None))
    qemu, qemu_rss = shown["qemu"]
    better = f"{qemu / lodge:.2f}" if lodge else "-"
    used = f"{env.minutes:g} minutes of use" if env.minutes else "work on a share"
    print(f"memory.private lodge={show(lodge)} peer={show(qemu)} MiB better={better} "
          f"(private dirty of all processes, after {used}; peer QEMU q35 and virtiofsd; "
          f"resident, shared libraries too: {show(lodge_rss)}|{show(qemu_rss)} MiB)", flush=True)


def run_rows(env, vms, rows, rounds, rate_of, peers, notes_of=None):
    """Times every row on all machines, mirrored, then once more under the meters. notes_of(row, machines) is asked
    before that for what else is to be told."""
    by_name = {vm.name: vm for vm in vms}
    for name_shown in rows:
        row = re.sub(r"^fs[^.]*\.", "fs.", name_shown)
        first = {vm.name: vm.job(row)[1] for vm in vms}
        slow = [p for p in peers if first[p] > HOPELESS_AT_ONCE * min(first[other] for other in peers)]
        rivals = [p for p in peers if p not in slow]
        series = Series([vm.name for vm in vms if vm.name not in slow])
        for turn in range(env.rounds or rounds):
            took = {}
            for name in series.order(series.hopeless(rivals, HOPELESS) if turn >= 2 else []):
                amount, seconds, unit = by_name[name].job(row)
                took.setdefault(name, []).append(seconds / amount)
            for name, pair in took.items():
                series.add(name, pair)
        best = min(rivals, key=series.median)
        more = notes_of(row, [by_name[name] for name in ("lodge", best) if name in by_name]) if notes_of else ""
        per = {name: counts.count_job(by_name[name], row) for name in ("lodge", best) if name in by_name}
        unit, rate, one = rate_of(unit)
        notes = f"; per {one}: " + ", ".join(
            f"{key} {'|'.join(show(counted[key]) for counted in per.values())}"
            for key in ("exits", "syscalls", "switches", "helper-us"))
        notes += more + "; model " + "|".join(show(counts.model(counted)) for counted in per.values()) + " us"
        notes += "".join(f"; {name} left out: its first run took {show(first[name] / first[best])} times as long"
                         for name in slow)
        print_row(name_shown, series, rate, unit, rivals, notes)


def rate_of(unit):
    """How a job's cost in seconds for each unit is shown."""
    if unit == "bytes":
        return "MB/s", lambda cost: 1 / cost / 1e6, "MB"
    return f"{unit}/s", lambda cost: 1 / cost, unit.rstrip("s")


def start_all(vms):
    """Boots them one after the other: side by side they would only fight for one processor."""
    for vm in vms:
        vm.start()
        vm.wait_up()
        vm.ask("modules")


def make_many(folder):
    """The folder that fs.readdir lists: the guest would need a minute to make it."""
    os.makedirs(folder)
    for i in range(MANY_FILES):
        with open(os.path.join(folder, f"m{i:04d}"), "xb"):
            pass


def make_trees(env, folder):
    """What the jobs of treejobs.c work on."""
    def made(name, end):
        return os.path.join(env.build, "bench", name + ("-full" if env.full else "") + end)
    for name in ("tree", "untar", "created"):
        shutil.copy(made(name, ".count"), os.path.join(folder, name + ".count"))
    shutil.copy(made("untar", ".tar"), os.path.join(folder, "untar.tar"))
    subprocess.run(["tar", "-xf", made("tree", ".tar"), "-C", folder], check=True)


def make_folder(env, work, name, rows):
    """A machine's own folder with what the rows' jobs want to find."""
    folder = os.path.join(work, "folder-" + name)
    make_many(os.path.join(folder, "many"))
    if {"git-status", "untar", "create-many"} & {row.partition(".")[2] for row in rows}:
        make_trees(env, folder)
    return folder


def bench_fs(env, work, rows, lodge=machines.Lodge, shared=None):
    """The shared folder, through the in-box drivers. Folders are made in shared, or beside the rest."""
    def make(kind, name):
        return kind(name, env, work, initramfs=env.initramfs("fs"), folder=make_folder(env, shared or work, name, rows))
    vms = lodge_or_nothing(env, lambda _, name: make(lodge, name))
    vms += [make(machines.QemuVirtiofs, "virtiofsd"), make(machines.Qemu9p, "9p")]
    try:
        start_all(vms)
        for vm in vms:
            vm.ask(vm.mount())
        run_rows(env, vms, [row for row in rows if row != "fs.floor"], ROUNDS["fs"], rate_of, ["virtiofsd", "9p"])
        if "fs.floor" in rows and vms[0].name == "lodge":
            floors.print_row(env, vms[0], show)
    finally:
        for vm in vms:
            vm.stop()


def bench_no_dax(env, work, rows):
    """Large files by messages alone."""
    bench_fs(env, work, rows, machines.LodgeNoDax)


def bench_ext4_dax(env, work, rows):
    """The same through the window all the same."""
    bench_ext4(env, work, rows, machines.LodgeAllDax)


def bench_ext4(env, work, rows, lodge=machines.Lodge):
    """Large files on ext4, whose pages are small ones; its disk is in memory, too."""
    image, folder = os.path.join(work, "ext4.img"), os.path.join(work, "ext4")
    os.mkdir(folder)
    with open(image, "wb") as file:
        file.truncate(EXT4_MIB << 20)
    subprocess.run(["modprobe", "-a", "loop", "ext4"], stderr=subprocess.DEVNULL, check=False)
    for command in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop", image, folder]):
        if not shutil.which(command[0]) or subprocess.run(command, check=False).returncode:
            print(f"bench: fs-ext4 is left out: {command[0]} does not work", file=sys.stderr)
            return
    try:
        bench_fs(env, work, rows, lodge, folder)
    finally:
        subprocess.run(["umount", folder], check=False)


def bench_tmpfs(env, work, rows):
    """Mapped files of a share against those of the guest's own tmpfs, in one guest."""
    if not machines.has_lodge(env):
        return
    vm = machines.Lodge("lodge", env, work, initramfs=env.initramfs("fs"), folder=make_folder(env, work, "lodge", rows))
    try:
        start_all([vm])
        vm.ask(vm.mount())
        run_rows(env, [vm, machines.GuestMemory(vm)], rows, ROUNDS["fs"], rate_of, ["tmpfs"])
    finally:
        vm.stop()


def bench_fs2_no_dax(env, work, rows):
    """Way 2 against way 1 without its window."""
    bench_fs2(env, work, rows, machines.LodgeNoDax)


def bench_fs2_9p(env, work, rows):
    """Way 2 against QEMU's 9p."""
    bench_fs2(env, work, rows, machines.Qemu9p, "9p")


def bench_fs2(env, work, rows, peer=machines.Lodge, peer_name="virtiofs"):
    """Way 2, in a guest without virtiofs, against way 1 or another."""
    def make(kind, name, initramfs):
        return kind(name, env, work, initramfs=env.initramfs(initramfs), folder=make_folder(env, work, name, rows))
    if not os.path.exists(env.initramfs("fs2")):
        return
    vms = [make(machines.LodgeFs2, "lodge", "fs2"), make(peer, peer_name, "fs")]
    try:
        start_all(vms)
        for vm in vms:
            vm.ask(vm.mount())
        run_rows(env, vms, rows, ROUNDS["fs"], rate_of, [peer_name])
    finally:
        for vm in vms:
            vm.stop()


def bench_blk(env, work, rows):
    """A raw disk image in the host's memory."""
    def make(kind, name):
        disk = os.path.join(work, name + ".img")
        with open(disk, "wb") as image:
            for _ in range(DISK_MIB):
                image.write(b"\x5a" * (1 << 20))
        return kind(name, env, work, initramfs=env.initramfs("devices"), disk=disk)
    vms = lodge_or_nothing(env, make) + [make(machines.QemuBlk, "qemu")]
    try:
        start_all(vms)
        run_rows(env, vms, rows, ROUNDS["blk"], rate_of, ["qemu"])
    finally:
        for vm in vms:
            vm.stop()


def bulk_row(env, work, row):
    """What a guest's program writes, on the host."""
    vms = bulk.make_all(env, os.path.join(work, row))
    pieces = (env.mib << 20) // bulk.PIECE
    before = after = [0, 0, 0]
    series = Series([vm.name for vm in vms])
    try:
        start_all(vms)
        for vm in vms:
            vm.connect()
            vm.transfer(pieces // 4)
        by_name = {vm.name: vm for vm in vms}
        if "lodge" in by_name:
            before = by_name["lodge"].peaks()
        for _ in range(env.rounds or ROUNDS["bulk"]):
            took = {}
            for name in series.order():
                began = time.monotonic()
                amount = by_name[name].transfer(pieces)
                took.setdefault(name, []).append((time.monotonic() - began) / amount)
            for name, pair in took.items():
                series.add(name, pair)
        if "lodge" in by_name:
            after = by_name["lodge"].peaks()
        notes = "; private memory " + "|".join(show(bulk.monitor_private(vm)) for vm in vms) + " MiB" + \
            f"; {env.mib} MiB each time make lodge-vmm, lodge, lodged grow by " + \
            ", ".join(str(b - a) for a, b in zip(before, after)) + " KiB"
        print_row(row, series, lambda cost: 1 / cost / 1e6, "MB/s", ["qemu-ga"], notes)
    finally:
        for vm in vms:
            vm.stop()


def bench_rpc(env, work, rows):
    """64 bytes to the host and back, through the doors of the guest's tools."""
    for row in rows:
        if row in BULK_ROWS:
            bulk_row(env, work, row)
            continue
        vms = rpc.make_all(env, os.path.join(work, row), row)
        try:
            start_all(vms)
            run_rows(env, vms, [row], ROUNDS["rpc"], rate_of, ["qemu"])
        finally:
            for vm in vms:
                vm.stop()


def bench_balloon(env, work, rows):
    """Memory that a guest gives, and gets back."""
    vms = balloon.make_all(env, work)
    try:
        start_all(vms)
        run_rows(env, vms, rows, ROUNDS["balloon"], balloon.rate_of, ["qemu"], balloon.notes)
    finally:
        for vm in vms:
            vm.stop()


def bench_clock(env, work, rows):
    """Clocks of guests beside their host's."""
    vms = clock.make_all(env, work, rows)
    try:
        start_all(vms)
        if "clock.read" in rows:
            run_rows(env, [vm for vm in vms if vm.name != "open-vm-tools"], ["clock.read"], ROUNDS["clock"], rate_of,
                     ["ptp_kvm"])
        if set(rows) - {"clock.read"}:
            clock.compare(env, vms, rows, env.minutes or 1, show)
    finally:
        for vm in vms:
            vm.stop()


def bench_display(env, work, rows):
    """A screen in a window."""
    vms = display.make_all(env, work)
    try:
        for vm in vms:
            start_all([vm])
            vm.open_window()
        run_rows(env, vms, rows, 2 if env.quick else ROUNDS["display"], display.rate_of,
                 [vm.name for vm in vms if vm.name != "lodge"], display.notes)
    finally:
        for vm in vms:
            vm.stop()


GROUPS = [("boot", bench_boot), ("memory", bench_memory), ("fs", bench_fs),
          ("fs-ext4", bench_ext4), ("fs-ext4-dax", bench_ext4_dax), ("fs-nodax", bench_no_dax), ("fs-tmpfs", bench_tmpfs),
          ("fs2", bench_fs2), ("fs2-nodax", bench_fs2_no_dax), ("fs2-9p", bench_fs2_9p),
          ("blk", bench_blk), ("rpc", bench_rpc), ("balloon", bench_balloon), ("clock", bench_clock),
          ("display", bench_display)]


def main():
    """Runs those benchmarks whose names hold one of the given words."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--rounds", type=int, default=0, help="rounds of each row (few, by default)")
    parser.add_argument("--minutes", type=float, default=0, help="how long memory.private's guests are used first, and clocks compared (1)")
    parser.add_argument("--mib", type=int, default=64, help="MiB of output of rpc.exec-bulk")
    parser.add_argument("--quick", action="store_true", help="display.*: fewer and shorter runs, one peer")
    parser.add_argument("--full", action="store_true", help="fs.git-status, fs.untar, fs.create-many: ten times as many files")
    parser.add_argument("--seconds", type=int, default=0, help="length of display.script")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    env = Environment(args)
    wanted = [n for n in NAMES if not args.names or
              any(word == n if word in NAMES else word in n for word in args.names)]
    if not wanted:
        print("bench: no benchmark is called " + " or ".join(args.names), file=sys.stderr)
        return 2
    if not machines.has_lodge(env):
        print("bench: no lodge-vmm is built: the peers run alone", file=sys.stderr)
    failed = False
    for word, run in GROUPS:
        rows = [n for n in wanted if n.startswith(word + ".")]
        if not rows:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="lb-", dir="/tmp") as work:
            try:
                run(env, work, rows)
            except machines.BenchError as error:
                print(f"bench: {word}: {error}", file=sys.stderr)
                failed = True
        print(f"# {word}: {time.monotonic() - began:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
