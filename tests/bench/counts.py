# SPDX-License-Identifier: GPL-2.0-or-later
"""What happened, beside how long it took: exits, system calls and context switches of a VM's processes.

Counts do not depend on how slow an emulated processor is. They need root, debugfs and tracefs; where
one is missing, its count is None.
"""

import glob
import os
import re
import time

TRACE = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/trigger"
HIST = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/hist"


def read_kvm(pid, name):
    """A counter of KVM of the VMs of a process."""
    files = glob.glob(f"/sys/kernel/debug/kvm/{pid}-*/{name}")
    total = 0
    for file in files:
        with open(file, encoding="ascii") as stat:
            total += int(stat.read())
    return total if files else None


def _switches(tasks):
    """Context switches of threads so far."""
    total = 0
    for task in tasks:
        try:
            with open(task + "/status", encoding="ascii", errors="replace") as file:
                total += sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", file.read()))
        except FileNotFoundError:
            pass
    return total


def context_switches(pids):
    """All switches of all threads so far."""
    return _switches(_tasks(pids))


def helper_switches(pids):
    """All switches of all threads that are no vCPU: how often something woke."""
    return _switches(task for task in _tasks(pids) if not _is_vcpu(task))


def threads(pids):
    """All threads of the processes."""
    return {int(task) for pid in pids for task in os.listdir(f"/proc/{pid}/task")}


class EntryWatch:
    """When the next VM enters its guest for the first time, by the kernel's trace of KVM."""

    ENTRY = "/sys/kernel/tracing/events/kvm/kvm_entry/"
    SETTINGS = "/sys/kernel/tracing/"

    def __init__(self):
        self.works = os.access(self.ENTRY + "trigger", os.W_OK)

    def _write(self, name, text):
        with open(name, "w", encoding="ascii") as setting:
            setting.write(text)

    def start(self):
        """From now on; the first entry ends it by itself."""
        self._write(self.SETTINGS + "trace_clock", "mono")
        self._write(self.SETTINGS + "trace", "")
        self._write(self.ENTRY + "trigger", "traceoff:1")
        self._write(self.ENTRY + "enable", "1")
        self._write(self.SETTINGS + "tracing_on", "1")

    def wait(self, seconds):
        """The entry's time on the monotonic clock, or None."""
        end = time.monotonic() + seconds
        found = None
        while not found and time.monotonic() < end:
            time.sleep(0.1)
            with open(self.SETTINGS + "trace", encoding="ascii", errors="replace") as trace:
                found = re.search(r" ([0-9.]+): kvm_entry:", trace.read(1 << 16))
        self._write(self.ENTRY + "enable", "0")
        self._write(self.ENTRY + "trigger", "!traceoff:1")
        return float(found.group(1)) if found else None


class SyscallMeter:
    """Counts system calls by thread with the kernel's histogram trigger."""

    def __init__(self):
        self.works = os.access(TRACE, os.W_OK)

    def _write(self, text):
        with open(TRACE, "w", encoding="ascii") as trigger:
            trigger.write(text)

    def start(self):
        """Counts from 0."""
        if self.works:
            self._write("hist:keys=common_pid:size=4096")

    def stop(self, pids):
        """The calls of these processes since start()."""
        if not self.works:
            return None
        with open(HIST, encoding="ascii", errors="replace") as hist:
            rows = re.findall(r"common_pid:\s+(\d+) } hitcount:\s+(\d+)", hist.read())
        self._write("!hist:keys=common_pid:size=4096")
        mine = threads(pids)
        return sum(int(n) for tid, n in rows if int(tid) in mine)


def _tasks(pids):
    """The folders of all threads of the processes."""
    return [task for pid in pids for task in glob.glob(f"/proc/{pid}/task/*")]


def _is_vcpu(task):
    """Whether a thread runs the guest: Lodge's and QEMU's are named alike."""
    try:
        with open(task + "/comm", encoding="utf-8", errors="replace") as comm:
            return re.match(r"cpu \d+", comm.read(), re.IGNORECASE) is not None
    except FileNotFoundError:
        return False


def _run_time(tasks):
    """Microseconds of processor time of threads so far."""
    total = 0
    for task in tasks:
        try:
            with open(task + "/schedstat", encoding="ascii") as stat:
                total += int(stat.read().split()[0])
        except FileNotFoundError:
            pass
    return total / 1000


def helper_time(pids):
    """Microseconds of processor time of all threads that are no vCPU: what serving the guest costs the host."""
    return _run_time(task for task in _tasks(pids) if not _is_vcpu(task))


def vcpu_time(pids):
    """Those of the others: the guest's own work, and its exits."""
    return _run_time(task for task in _tasks(pids) if _is_vcpu(task))


def count_job(machine, name):
    """Runs a job once under the meters: a dictionary of counts for each unit of the job's requests."""
    pids = machine.pids()
    meter = SyscallMeter()
    exits = read_kvm(machine.process.pid, "exits")
    switches = context_switches(pids)
    helpers = helper_time(pids)
    amount, _, unit = machine.job(name)
    counted = {
        "exits": None if exits is None else read_kvm(machine.process.pid, "exits") - exits,
        "switches": context_switches(pids) - switches,
        "helper-us": helper_time(pids) - helpers,
    }
    # Once more for the calls: counting them is what slows the helpers down most.
    meter.start()
    machine.job(name)
    counted["syscalls"] = meter.stop(pids)
    per = amount / 1e6 if unit == "bytes" else amount
    return {key: None if value is None else value / per for key, value in counted.items()}


# Microseconds on hardware: an exit is 2,528 cycles of an AMD processor (lkml 2012.2/00527), a switch with the
# wake-up before it 3 µs, a system call 0.15 µs.
MODEL = {"exits": 0.85, "switches": 3, "syscalls": 0.15}


def model(counted):
    """What the counts of count_job() would cost on hardware, beside the work itself and copies; None: not known."""
    if any(counted[key] is None for key in MODEL):
        return None
    return sum(counted[key] * cost for key, cost in MODEL.items())


def own_memory(pids, guest_mib, shared):
    """Private dirty and resident KiB of the processes' mappings. Guest memory is left out by Firecracker's rule
    (mappings as large as it), and so is the host's cache of files where the folder shared is, which the guest maps
    through a DAX window: of those mappings, copies of the process's own count alone. They are told by the device:
    file servers have names of their own for files."""
    device = os.stat(shared).st_dev
    shared_device = f"{os.major(device):02x}:{os.minor(device):02x}"
    totals = {"Private_Dirty:": 0, "Rss:": 0}
    for pid in pids:
        size, is_shared = 0, False
        with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as smaps:
            for line in smaps:
                words = line.split()
                if not words[0].endswith(":"):
                    is_shared = words[3] == shared_device
                elif words[0] == "Size:":
                    size = int(words[1])
                elif is_shared and words[0] == "Anonymous:":
                    totals["Private_Dirty:"] += int(words[1])
                elif words[0] in totals and size < guest_mib * 512 and not is_shared:
                    totals[words[0]] += int(words[1])
    return totals["Private_Dirty:"], totals["Rss:"]
