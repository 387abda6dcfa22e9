# SPDX-License-Identifier: GPL-2.0-or-later
"""The balloon: how fast a guest gives memory and gets it back, lodge_balloon beside QEMU's virtio-balloon.

balloon.inflate   of memory that the guest has used
balloon.untouched of memory that it never had from the host, or has given before
balloon.deflate   back to nothing
"""

import json
import os
import socket
import time

import counts
import machines

GIVEN = 128 << 20  # bytes, of machines.MEMORY_MIB
PAGE = 4096
PAUSE = 0.005  # seconds between two looks
PATIENCE = 120


class Talk:
    """A socket that takes a line of JSON and answers with one."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile(encoding="utf-8")

    def ask(self, request):
        """The answer, what the peer says by itself left out."""
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(self.lines.readline())
            if "event" not in answer and "QMP" not in answer:
                return answer


class Balloon:
    """What both machines have: jobs whose clock is the host's."""

    talk = None
    helper_us = None

    def given(self):
        """Bytes in the balloon."""
        raise NotImplementedError

    def want(self, given):
        """Sets the target."""
        raise NotImplementedError

    def move(self, given):
        """Seconds until the balloon has what it should."""
        if not self.talk:
            self.talk = self.connect()
        helpers = counts.helper_time(self.pids())
        began = time.monotonic()
        self.want(given)
        while self.given() != given:
            if time.monotonic() > began + PATIENCE:
                raise machines.BenchError(f"{self.name}: {self.given()} bytes are given, not {given}{self.last_words()}")
            time.sleep(PAUSE)
        seconds = time.monotonic() - began
        self.helper_us = counts.helper_time(self.pids()) - helpers
        return seconds

    def job(self, name):
        """A move in one direction; the one in the other is not timed."""
        if name == "balloon.inflate":
            super().job("balloon.touch")
        if name == "balloon.deflate":
            self.move(GIVEN)
            seconds = self.move(0)
        else:
            seconds = self.move(GIVEN)
            helper_us = self.helper_us
            self.move(0)
            self.helper_us = helper_us
        return GIVEN // PAGE, seconds, "pages"


class LodgeBalloon(Balloon, machines.Lodge):
    """lodge-vmm with the backdoor's device, and lodge_balloon in the guest."""

    def device_group(self):
        return super().device_group().replace("balloon=no", "balloon=yes").replace("device=no", "device=yes")

    def connect(self):
        """The control socket."""
        talk = Talk(os.path.join(self.work, "run", "control.sock"))
        end = time.monotonic() + PATIENCE
        while talk.ask({"id": 1, "method": "memory"})["result"]["driver"] != "lodge_balloon":
            if time.monotonic() > end:
                raise machines.BenchError(f"{self.name}: the module does not come up{self.last_words()}")
            time.sleep(0.2)
        return talk

    def given(self):
        return self.talk.ask({"id": 1, "method": "memory"})["result"]["given"]

    def want(self, given):
        self.talk.ask({"id": 1, "method": "balloon", "params": {"target": given}})


class QemuBalloon(Balloon, machines.Qemu):
    """QEMU's device and Linux's own driver."""

    def devices(self):
        return ["-device", "virtio-balloon-pci,free-page-reporting=on", "-qmp", f"unix:{self.work}/qmp.sock,server=on,wait=off"]

    def connect(self):
        """QMP, past its greeting."""
        talk = Talk(os.path.join(self.work, "qmp.sock"))
        talk.ask({"execute": "qmp_capabilities"})
        return talk

    def given(self):
        return (machines.MEMORY_MIB << 20) - self.talk.ask({"execute": "query-balloon"})["return"]["actual"]

    def want(self, given):
        self.talk.ask({"execute": "balloon", "arguments": {"value": (machines.MEMORY_MIB << 20) - given}})


def make_all(env, work):
    """The two machines."""
    rest = {"initramfs": env.initramfs("balloon")}
    vms = [QemuBalloon("qemu", env, work, **rest)]
    if machines.has_lodge(env):
        vms.insert(0, LodgeBalloon("lodge", env, work, **rest))
    return vms


def rate_of(unit):
    """How a cost in seconds for each page is shown."""
    return f"{unit}/s", lambda cost: 1 / cost, "page"


def notes(_row, vms):
    """What the host's threads took of the processor in the last move, for each page."""
    return "; host processor " + "|".join(f"{vm.helper_us / (GIVEN // PAGE):.3g}" for vm in vms) + " us for each page"
