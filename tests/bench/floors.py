# SPDX-License-Identifier: GPL-2.0-or-later
"""What rows of fs.* cost with a server that has nothing to do: the row fs.floor."""

import os
import statistics
import subprocess

# Requests for each unit of a row (writes of 128 KiB; a LOOKUP; a page of names), and the unit.
ROWS = {"fs.write": (8, "MB"), "fs.stat": (1, "file"), "fs.readdir": (1 / 128, "name")}


def per_unit(amount, seconds, unit):
    """Microseconds for each MB, or each of what is counted."""
    return seconds * 1e12 / amount if unit == "bytes" else seconds * 1e6 / amount


def typical(vm, job):
    """The median of five runs in the guest."""
    return statistics.median(per_unit(*vm.job(job)) for _ in range(5))


def on_host(env, folder, job):
    """The same job on the host, in the shared folder itself."""
    program = os.path.join(env.build, "guest", "fsbench")
    said = subprocess.run([program, folder, job], capture_output=True, text=True, check=True).stdout.split()
    return 1e6 / float(said[1])


def print_row(env, vm, show):
    """Three things are added up: requests that the server answers without a system call, the same job on the guest's
    own tmpfs, and the same on the host's. The mount in the guest is gone afterwards."""
    empty = typical(vm, "fs.empty")
    own = {job: typical(vm, job) for job in ROWS}
    vm.ask("mount tmpfs none -")
    text = []
    for job, (requests, unit) in ROWS.items():
        guest = typical(vm, job)
        host = statistics.median(on_host(env, vm.folder, job) for _ in range(3))
        text.append(f"{job} {show(own[job])} us a {unit}, floor {show(requests * empty + guest + host)}: "
                    f"requests {show(requests * empty)}, guest {show(guest)}, host {show(host)}")
    print(f"fs.floor lodge={show(1e6 / empty)} empty requests/s ({show(empty)} us; {'; '.join(text)})", flush=True)
