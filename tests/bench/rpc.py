# SPDX-License-Identifier: GPL-2.0-or-later
"""Round trips between a guest and its host: Lodge's doors beside a virtio-serial port of QEMU's."""

import os

import machines


class LodgeDoor(machines.Lodge):
    """Lodge with one door for tools."""

    def __init__(self, *args, door, **more):
        super().__init__(*args, **more)
        self.door = door

    def device_group(self):
        doors = {"virtio": "device", "port": "port", "ioports": "ports"}
        lines = [f"{key}={'on' if door == self.door else 'off'}" for door, key in doors.items()]
        return super().device_group().split("\n[backdoor]")[0] + "\n" + "\n".join(["[backdoor]"] + lines)


class QemuEcho(machines.Qemu):
    """QEMU with a port whose other end gives back what comes."""

    def prepare(self):
        self.socket = os.path.join(self.work, "echo.sock")
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        echo = os.path.join(self.env.build, "guest", "bench-echo")
        machines.wait_for_path(self.socket, self.helper([echo, self.socket]))

    def devices(self):
        return ["-chardev", f"socket,id=echo,path={self.socket}", "-device", "virtio-serial-pci",
                "-device", "virtserialport,chardev=echo,name=org.lodge.bench.0"]


def make_all(env, work, row):
    """The machines of a row: Lodge by the door that the row names, and QEMU."""
    rest = {"initramfs": env.initramfs("rpc")}
    vms = [QemuEcho("qemu", env, work, **rest)]
    if machines.has_lodge(env):
        vms.insert(0, LodgeDoor("lodge", env, work, door=row.split(".")[1], **rest))
    return vms
