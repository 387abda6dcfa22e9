# SPDX-License-Identifier: GPL-2.0-or-later
"""Clocks of guests beside their host's: how far apart, and how fast a PTP clock is read.

clock.offset  of the PTP clock's cross-timestamps to the host's clock at the same count of the counter
clock.system  of the guest's own clock, kept by its tools
clock.read    readings of the PTP clock, by clock_gettime(2)

Both sides write down counter and time; the guest's counter is the host's and an offset that KVM tells. In the lab the host's
clock is steered as an NTP client does it, by another rate now and then: one that stands still in its rate is followed by
anything.
"""

import bisect
import concurrent.futures
import ctypes
import glob
import os
import random
import statistics
import struct
import subprocess
import threading

import bulk
import machines

RATE_PPM = 20  # what the host's clock runs faster than its crystal
STEER_PPM = 0.5  # and as much as that is changed by, every
STEER_S = 16
SETTLE_S = 45  # for what keeps clocks, before they are compared
PLUGIN = "/usr/lib/x86_64-linux-gnu/open-vm-tools/plugins/vmsvc/libtimeSync.so"
CONF = "[guest-ops]\nallow-exec=none\n"
NONE = "[device]\nballoon=no\nclock={clock}\nrng=no\nlegacy=no\n[backdoor]\ndevice={device}\nport=no\nports={ports}"
WRAP = 1 << 64


def steer(ppm):
    """Another rate for this host's clock, and the word that somebody keeps it: <linux/timex.h>."""
    frequency, maxerror, status = 0x2, 0x4, 0x10
    timex = bytearray(208)
    struct.pack_into("=I4xqqqqi", timex, 0, frequency | maxerror | status, 0, int(ppm * 65536), 1000, 1000, 0)
    ctypes.CDLL(None, use_errno=True).adjtimex((ctypes.c_char * len(timex)).from_buffer(timex))


class Steering:
    """Steers until the end of a with statement, in the lab alone: another machine's clock is not ours."""

    def __init__(self):
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.works = os.environ.get("LODGE_LAB") == "1" and os.geteuid() == 0

    def work(self):
        """Each time another rate."""
        dice = random.Random(1)
        while True:
            steer(RATE_PPM + dice.uniform(-STEER_PPM, STEER_PPM))
            if self.end.wait(STEER_S):
                return

    def __enter__(self):
        if self.works:
            self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        if self.works:
            self.thread.join()


class Clock:
    """What the machines have in common."""

    keeper = None  # the command that keeps its clock

    def tsc_offset(self):
        """The guest's counter minus the host's."""
        for path in glob.glob(f"/sys/kernel/debug/kvm/{self.process.pid}-*/vcpu0/tsc-offset"):
            with open(path, encoding="ascii") as file:
                return int(file.read())
        raise machines.BenchError("debugfs does not tell the guest's counter")

    def keep(self):
        """Starts what keeps its clock."""
        if self.keeper:
            self.ask("start " + self.keeper)

    def begin(self, seconds):
        """Starts taking samples."""
        self.process.stdin.write(f"job clock.samples {seconds}\n".encode())
        self.process.stdin.flush()

    def samples(self, seconds):
        """What was taken: lists of numbers, as clockjobs.c writes them."""
        found = []
        while True:
            line = self.line(seconds)
            if line.startswith("> "):
                found.append([int(word, 16) for word in line[2:].split()])
            elif line.startswith("= "):
                return found
            elif line.startswith("! "):
                raise machines.BenchError(f"{self.name}: {line[2:]}{self.last_words()}")


class LodgeClock(Clock, machines.Lodge):
    """lodge_clock, and lodged that keeps the system's clock by it."""

    keeper = "/bin/agent --conf=/etc/tools.conf --run-folder=/run/lodged"

    def device_group(self):
        return NONE.format(clock="yes", device="yes", ports="off")


class LodgeVmtools(Clock, machines.Lodge):
    """open-vm-tools by VMware's I/O ports, without anything of Lodge's own."""

    keeper = "/bin/ioperm /bin/agent"

    def device_group(self):
        return NONE.format(clock="no", device="no", ports="on") + "\n[tools]\ntime-sync=yes"


class QemuClock(Clock, machines.Qemu):
    """ptp_kvm; nobody keeps the guest's own clock."""


def make_all(env, work, rows):
    """The machines that can be had, and that these rows look at."""
    vms = [QemuClock("ptp_kvm", env, work, initramfs=env.initramfs("clock-kvm"))]
    if not machines.has_lodge(env):
        return vms
    def image(name, agent, files):
        return bulk.add_agent(env.initramfs(name), os.path.join(work, name + ".cpio"), agent, files)
    vms.insert(0, LodgeClock("lodge", env, work, initramfs=image("clock", env.program("lodged"), {})))
    if "clock.system" in rows and os.path.exists(PLUGIN):
        ioperm = os.path.join(env.build, "guest", "lodge-ioperm")
        vms.append(LodgeVmtools("open-vm-tools", env, work, initramfs=image(
            "clock-none", "/usr/bin/vmtoolsd", {PLUGIN: PLUGIN, "/bin/ioperm": ioperm})))
    return vms


class HostTime:
    """The host's time by its counter, between moments that it wrote down."""

    def __init__(self, lines):
        moments = [tuple(map(int, line.split())) for line in lines if line.count(" ") == 1]
        self.counters, self.times = zip(*moments)

    def at(self, counter):
        """ns since 1970, or None where nobody looked."""
        i = bisect.bisect(self.counters, counter)
        if not 0 < i < len(self.counters):
            return None
        before, after = self.counters[i - 1], self.counters[i]
        return self.times[i - 1] + (self.times[i] - self.times[i - 1]) * (counter - before) // (after - before)

    def offsets(self, pairs, tsc_offset):
        """How far each pair of counter and ns is from the host's time, in ns."""
        found = []
        for counter, time in pairs:
            there = self.at((counter - tsc_offset) % WRAP) if time else None
            if there is not None:
                found.append(abs(time - there))
        return found


def watch(env, vms, minutes):
    """Samples of all machines over so many minutes, and the host's time."""
    seconds = int(60 * minutes)
    with Steering() as steering:
        for vm in vms:
            vm.keep()
        steering.end.wait(SETTLE_S)
        command = [os.path.join(env.build, "guest", "clock-check"), "host", str(seconds + 10)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
            for vm in vms:
                vm.begin(seconds)
            # Side by side: a console that nobody reads loses what it cannot keep.
            with concurrent.futures.ThreadPoolExecutor(len(vms)) as readers:
                taken = {vm.name: readers.submit(vm.samples, seconds + 120) for vm in vms}
                lines = host.stdout.read().splitlines()
                return HostTime(lines), {name: samples.result() for name, samples in taken.items()}


def percentile(values):
    """The 99th."""
    return sorted(values)[min(len(values) - 1, len(values) * 99 // 100)]


def tenths(values, show):
    """Medians at the beginning and at the end: whether it gets better."""
    some = len(values) // 10 + 1
    return f"{show(statistics.median(values[:some]))}..{show(statistics.median(values[-some:]))}"


def print_offsets(row, what, names, minutes, show):
    """A row of two machines' offsets in ns."""
    own, other = (what.get(name) for name in names)
    if not own or not other:
        print(f"{row} lodge=- peer=- ns better=- (no readings of {' or '.join(names)})", flush=True)
        return
    ours, theirs = percentile(own), percentile(other)
    print(f"{row} lodge={show(ours)} peer={show(theirs)} ns better={theirs / max(ours, 1):.2f} "
          f"(99th percentile of {len(own)}|{len(other)} readings in {minutes:g} minutes; "
          f"median {show(statistics.median(own))}|{show(statistics.median(other))}, "
          f"of the first and last tenth {tenths(own, show)}|{tenths(other, show)}; "
          f"most {show(max(own))}|{show(max(other))}; peer {names[1]})", flush=True)


def compare(env, vms, rows, minutes, show):
    """The rows of offsets."""
    host, samples = watch(env, vms, minutes)
    read, cross, system = {}, {}, {}
    for vm in vms:
        offset, taken = vm.tsc_offset(), samples[vm.name]
        read[vm.name] = host.offsets([(s[0], s[1]) for s in taken], offset)
        system[vm.name] = host.offsets([(s[3], s[4]) for s in taken], offset)
        cross[vm.name] = host.offsets([(s[5], s[6]) for s in taken], offset)
    if "clock.offset" in rows:
        print_offsets("clock.offset", cross, ["lodge", "ptp_kvm"], minutes, show)
        if "lodge" in read:
            print("# clock.offset of plain readings, at the middle of each call: " + "|".join(
                show(percentile(read[name])) for name in ("lodge", "ptp_kvm")) + " ns", flush=True)
    if "clock.system" in rows:
        print_offsets("clock.system", system, ["lodge", "open-vm-tools"], minutes, show)
