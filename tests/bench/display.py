# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's screen in a window: Lodge's beside QEMU's, each under an X server of its own, without a window manager.

Both guests are the same: mode setting alone, on the kernel's virtio-gpu driver (displayjobs.c). What counts are the
window's processor time and the monitor's and the X server's, without the threads that run the guest.
"""

import glob
import json
import os
import socket
import time

import counts
import machines
import x11

SIZES = [(1200, 900), (904, 704), (1104, 808), (800, 600)]
FIRST_SIZE = (1024, 768)  # no other one, so that each run's first is new
PATIENCE_S = 60
REST_S = 0.3  # between two sizes: longer than either monitor waits for a third one
# Where nothing runs, a ratio of times needs something to divide by.
LEAST_CPU_S = 1e-6


class Shown(machines.Machine):
    """A VM with a window."""

    watcher = None

    def prepare(self):
        number = next(n for n in range(90, 200) if not os.path.exists(f"/tmp/.X{n}-lock"))
        self.screen = f":{number}"
        server = self.helper(["Xvfb", self.screen, "-screen", "0", "1600x1200x24", "-nolisten", "tcp", "-noreset"])
        machines.wait_for_path(f"/tmp/.X11-unix/X{number}", server)
        self.server_pid = server.pid
        self.environment = dict(os.environ, DISPLAY=self.screen)
        self.watcher = x11.Watcher(number)

    def open_window(self):
        """Once the guest is up: makes the guest draw, and finds the window."""
        self.job_of_guest("display.follow")
        self.window = self.watcher.find_window(PATIENCE_S)
        self.resize(*FIRST_SIZE)

    def job_of_guest(self, words):
        """Count and seconds by the guest's word."""
        # A peer that is slow does the same steps, however late.
        answer = self.ask("job " + words, PATIENCE_S + 10 * self.env.seconds)
        return int(answer[0]), float(answer[1])

    def resize(self, width, height):
        """Seconds until the guest's picture of that size is in the window."""
        time.sleep(REST_S)
        try:
            return self.watcher.resize(self.window, width, height, PATIENCE_S)
        except (x11.WatchError, OSError) as error:
            raise machines.BenchError(f"{self.name}: {error}{self.last_words()}") from error

    def spend(self, seconds, run):
        """Seconds of processor time while run() runs, of what serves the guest, and the figures beside it."""
        time.sleep(REST_S)
        pids = self.pids()
        meters = {
            "helpers": lambda: counts.helper_time(pids) / 1e6,
            "X server": lambda: counts.helper_time([self.server_pid]) / 1e6,
            "processors": lambda: counts.vcpu_time(pids) / 1e6,
            "wake-ups": lambda: counts.helper_switches(pids),
        }
        before = {key: meter() for key, meter in meters.items()}
        result = run()
        self.spent = {key: (meter() - before[key]) / seconds for key, meter in meters.items()}
        self.spent["damaged"] = result / seconds
        return max(self.spent["helpers"], LEAST_CPU_S) * seconds

    def copied_bytes(self):
        """Bytes that the monitor has copied for the window so far; 0: it does not tell."""
        return 0

    def job(self, name):
        """Count, seconds and unit of one run of a row."""
        if name == "display.resize":
            self.job_of_guest("display.follow")
            sizes = SIZES[:3] if self.env.quick else SIZES
            return len(sizes), sum(self.resize(*size) for size in sizes), "resizes"
        if name == "display.script":
            seconds, copied = self.env.seconds, self.copied_bytes()
            spent = self.spend(seconds, lambda: self.job_of_guest(f"{name} {seconds}")[0])
            self.spent["copied"] = (self.copied_bytes() - copied) / seconds
            return seconds, spent, "seconds"
        seconds = self.env.idle_seconds
        return seconds, self.spend(seconds, lambda: time.sleep(seconds) or 0), "seconds"

    def stop(self):
        if self.watcher:
            self.watcher.close()
        super().stop()


class LodgeWindow(Shown, machines.Lodge):
    """lodge-vmm, and lodge-view as its window."""

    def device_group(self):
        return super().device_group() + "\n[display]\nheads=1"

    def open_window(self):
        runtime = os.path.join(self.work, "run")
        self.helper([self.env.program("lodge-view"), "--display", self.screen, os.path.join(runtime, "display.sock")])
        super().open_window()

    def copied_bytes(self):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE_S)
            control.connect(os.path.join(self.work, "run", "control.sock"))
            control.sendall(b'{"method": "info"}\n')
            with control.makefile("rb") as answer:
                return json.loads(answer.readline())["result"]["screens"][0]["copied_bytes"]


class QemuGtk(Shown, machines.Qemu):
    """QEMU with its window by GTK."""

    machine = "q35"
    display = "gtk,gl=off"

    def prepare(self):
        super().prepare()
        # The cheaper one of what SDL may choose, and no search for a desktop's accessibility.
        self.environment.update(GDK_BACKEND="x11", NO_AT_BRIDGE="1", SDL_RENDER_DRIVER="software")

    def devices(self):
        return ["-device", "virtio-vga", "-device", "virtio-tablet-pci", "-device", "virtio-keyboard-pci"]


class QemuSdl(QemuGtk):
    """QEMU with its window by SDL."""

    display = "sdl,gl=off"


def make_all(env, work):
    """Lodge's machine, where it is built, and QEMU's."""
    kinds = [("lodge", LodgeWindow)] if machines.has_lodge(env) else []
    kinds += [("gtk", QemuGtk)] + ([] if env.quick else [("sdl", QemuSdl)])
    if not glob.glob("/usr/lib/*/qemu/ui-gtk.so"):
        raise machines.BenchError("no qemu-system-gui is installed: make deps")
    return [kind(name, env, work, initramfs=env.initramfs("display")) for name, kind in kinds]


def rate_of(unit):
    """How a row's cost is shown."""
    if unit == "resizes":
        return "ms", lambda cost: cost * 1000, "size"
    return "ms/s", lambda cost: cost * 1000, "second"


def notes(row, vms):
    """What a row's last runs tell beside their cost, Lodge's first."""
    if row == "display.resize":
        return ""
    figures = [("of it the X server", "X server", 1000, " ms/s"),
               ("the guest's processors", "processors", 1000, " ms/s"), ("wake-ups", "wake-ups", 1, "/s")]
    text = "".join(f"; {what} " + "|".join(f"{vm.spent[key] * scale:.3g}" for vm in vms) + unit
                   for what, key, scale, unit in figures)
    ours = vms[0]
    if row == "display.script" and ours.spent["copied"]:
        text += (f"; damaged {ours.spent['damaged'] / 1e6:.3g} MB/s, of it Lodge copies "
                 f"{ours.spent['copied'] / ours.spent['damaged']:.3f} times as much")
    return text
