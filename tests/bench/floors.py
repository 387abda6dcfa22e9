# SPDX-License-Identifier: GPL-2.0-or-later
"""What rows of fs.* cost with a file server that takes no time of its own: the row fs.floor."""

import os
import statistics
import subprocess

import counts

ROWS = {"fs.write": "MB", "fs.stat": "file", "fs.readdir": "name"}


def per_unit(amount, seconds, unit):
    """Microseconds for each MB, or each of what is counted."""
    return seconds * 1e12 / amount if unit == "bytes" else seconds * 1e6 / amount


def in_guest(vm, job):
    """The median of five runs."""
    return statistics.median(per_unit(*vm.job(job)) for _ in range(5))


def on_host(env, folder, job):
    """The same job on the host, in the shared folder itself."""
    program = os.path.join(env.build, "guest", "fsbench")
    said = subprocess.run([program, folder, job], capture_output=True, text=True, check=True).stdout.split()
    return 1e6 / float(said[1])


def print_row(env, vm, show):
    """Where one processor does everything, a row's time is the guest's and its exits', and that of the helpers, of which
    the host's own system calls are what no server can do without."""
    text = []
    for job, unit in ROWS.items():
        whole, helpers = in_guest(vm, job), counts.count_job(vm, job)["helper-us"]
        host = statistics.median(on_host(env, vm.folder, job) for _ in range(3))
        text.append(f"{job[3:]} lodge={show(whole)} floor={show(whole - helpers + host)} us a {unit}: "
                    f"guest {show(whole - helpers)}, host's own {show(host)}")
    print(f"fs.floor {'; '.join(text)}", flush=True)
