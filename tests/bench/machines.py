# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual machines under measurement: Lodge's and its peers', steered over the serial line."""

import contextlib
import os
import select
import shutil
import subprocess
import time

MEMORY_MIB = 256
APPEND = ("console=ttyS0 quiet panic=-1 reboot=t nokaslr mitigations=off init_on_alloc=0 "
          "8250.nr_uarts=1 no_timer_check random.trust_cpu=on audit=0 nowatchdog")


class BenchError(Exception):
    """Something that ends one benchmark, with a sentence for the reader."""


def virtiofsd_command(socket, folder):
    """The command line of the virtiofsd that is installed: Debian 12's in C, or the one in Rust."""
    for path in ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"):
        if not os.access(path, os.X_OK):
            continue
        usage = subprocess.run([path, "--help"], capture_output=True, text=True, check=False).stdout
        if "--shared-dir" in usage:
            return [path, f"--socket-path={socket}", f"--shared-dir={folder}", "--cache=auto"]
        return [path, f"--socket-path={socket}", "-o", f"source={folder}", "-o", "cache=auto"]
    raise BenchError("no virtiofsd is installed")


def wait_for_path(path, process, seconds=20):
    """Waits until a socket is there; its maker must live."""
    end = time.monotonic() + seconds
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > end:
            raise BenchError(f"{process.args[0]} did not make {path}")
        time.sleep(0.01)


class Machine:
    """One VM and its helper processes. Subclasses say what to start in prepare() and command()."""

    def __init__(self, name, env, work, *, initramfs, folder=None, disk=None, append=APPEND):
        self.name = name
        self.append = append
        self.env = env
        self.initramfs = initramfs
        self.folder = folder
        self.disk = disk
        self.work = os.path.join(work, name)
        os.makedirs(self.work, exist_ok=True)
        self.log = open(os.path.join(self.work, "log"), "ab")
        self.process = None
        self.helpers = []
        self.buffer = b""
        self.environment = None  # the VM's, where it is not ours

    def prepare(self):
        """Starts what must be there before the VM."""

    def command(self):
        """The VM's command line."""
        raise NotImplementedError

    def mount(self):
        """What the guest is told to mount the folder."""
        raise NotImplementedError

    def start(self):
        """Starts helpers and VM, and returns the time just before the VM's start."""
        self.prepare()
        argv = self.command()
        began = time.monotonic()
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, start_new_session=True,
                                        env=self.environment)
        return began

    def helper(self, argv):
        """Starts one helper process."""
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                   start_new_session=True)
        self.helpers.append(process)
        return process

    def line(self, seconds):
        """The next line from the guest."""
        end = time.monotonic() + seconds
        out = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            if not select.select([out], [], [], max(0, end - time.monotonic()))[0]:
                raise BenchError(f"{self.name}: the guest said nothing for {seconds} s{self.last_words()}")
            data = os.read(out, 4096)
            if not data:
                raise BenchError(f"{self.name}: the VM ended{self.last_words()}")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode("utf-8", "replace").strip()

    def last_words(self):
        """What the VM and its helpers said last, for an error."""
        with open(self.log.name, "rb") as log:
            text = log.read().decode("utf-8", "replace").strip().splitlines()
        rest = self.buffer.decode("utf-8", "replace").strip()
        return "".join(f"\n    {line}" for line in text[-8:] + ([rest] if rest else []))

    def wait_up(self, seconds=180):
        """Waits until the guest's init runs; returns the time."""
        while self.line(seconds) != "up":
            pass
        return time.monotonic()

    def ask(self, text, seconds=180):
        """Gives the guest a command; returns the words of its answer."""
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()
        while True:
            line = self.line(seconds)
            if line.startswith("= "):
                return line[2:].split()
            if line.startswith("! "):
                raise BenchError(f"{self.name}: {text}: {line[2:]}")

    def job(self, name):
        """Runs a job in the guest; returns count, seconds and unit."""
        count, seconds, unit = self.ask("job " + name, 1800 if self.env.full else 180)
        return int(count), float(seconds), unit

    def pids(self):
        """The VM's processes: the monitor, its helpers, and their descendants."""
        found = [p.pid for p in [self.process] + self.helpers if p and p.poll() is None]
        for pid in found:
            for task in os.listdir(f"/proc/{pid}/task"):
                try:
                    with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as children:
                        found += [int(child) for child in children.read().split()]
                except FileNotFoundError:
                    pass
        return found

    def stop(self):
        """Powers off, by the guest if it listens."""
        if self.process and self.process.poll() is None:
            try:
                self.process.stdin.write(b"off\n")
                self.process.stdin.flush()
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                pass
        for process in [self.process] + self.helpers:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        if self.process:
            with contextlib.suppress(BrokenPipeError):  # a VM that ended left "off" unread
                self.process.stdin.close()
            self.process.stdout.close()
        self.process, self.helpers, self.buffer = None, [], b""


class Qemu(Machine):
    """QEMU with KVM; the machine type and what hangs on it differ."""

    machine = "q35"
    shared_memory = False
    display = "none"

    def devices(self):
        """Arguments for the device under test."""
        return []

    def command(self):
        argv = ["qemu-system-x86_64", "-name", "bench,debug-threads=on", "-enable-kvm", "-cpu", "host", "-M", self.machine, "-smp", "1",
                "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", self.display,
                "-no-reboot", "-serial", "stdio", "-kernel", self.env.kernel,
                "-initrd", self.initramfs, "-append", self.append]
        if self.shared_memory:
            argv += ["-object", f"memory-backend-memfd,id=ram,size={MEMORY_MIB}M,share=on",
                     "-numa", "node,memdev=ram"]
        return argv + self.devices()


class QemuMicrovm(Qemu):
    """The smallest machine that QEMU has. Without an RTC (its default) Linux looks for one for seconds."""

    machine = "microvm,rtc=on"


class QemuVirtiofs(Qemu):
    """A folder by QEMU and virtiofsd."""

    shared_memory = True

    def prepare(self):
        self.socket = os.path.join(self.work, "fs.sock")
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        wait_for_path(self.socket, self.helper(virtiofsd_command(self.socket, self.folder)))

    def devices(self):
        return ["-chardev", f"socket,id=fs,path={self.socket}",
                "-device", "vhost-user-fs-pci,chardev=fs,tag=bench"]

    def mount(self):
        return "mount virtiofs bench -"


class Qemu9p(Qemu):
    """A folder by QEMU's own 9p server."""

    def devices(self):
        return ["-fsdev", f"local,id=fs,path={self.folder},security_model=none,multidevs=remap",
                "-device", "virtio-9p-pci,fsdev=fs,mount_tag=bench"]

    def mount(self):
        return "mount 9p bench trans=virtio,version=9p2000.L,msize=1048576,cache=mmap"


class QemuBlk(Qemu):
    """A raw disk by QEMU, io_uring and a thread of its own."""

    def devices(self):
        return ["-object", "iothread,id=io",
                "-drive", f"if=none,id=disk,file={self.disk},format=raw,aio=io_uring,cache=writeback",
                "-device", "virtio-blk-pci,drive=disk,iothread=io"]


class GuestMemory:
    """A tmpfs of a running machine's guest, as if it were one more machine's share."""

    name = "tmpfs"

    def __init__(self, machine):
        self.machine = machine
        machine.ask("memory")

    @property
    def process(self):
        """The monitor."""
        return self.machine.process

    def pids(self):
        """As those of the machine."""
        return self.machine.pids()

    def job(self, name):
        """The same job in that folder."""
        return self.machine.job(name + " /mem")


class Lodge(Machine):
    """lodge-vmm with a vm.conf; it starts lodge-fsd by itself."""

    def command(self):
        conf = [f"[memory]\nsize={MEMORY_MIB}M",
                f"[boot]\nkernel={self.env.kernel}\ninitrd={self.initramfs}\nappend={self.append}\non-reset=stop",
                "[serial]\nbackend=stdio"]
        if self.folder:
            conf.append(f"[share work]\npath={self.folder}\nowner=exact")
        if self.disk:
            conf.append(f"[disk disk]\nfile={self.disk}")
        conf.append(self.device_group())
        with open(os.path.join(self.work, "vm.conf"), "w", encoding="utf-8") as file:
            file.write("\n".join(conf) + "\n")
        return [self.env.program("lodge-vmm"), "--vm", self.work, "--runtime", os.path.join(self.work, "run")]

    def device_group(self):
        """The [device] group: nothing but what is measured, as the peers have it."""
        return "[device]\nballoon=no\nclock=no\nrng=no\nlegacy=no\n[backdoor]\ndevice=no\nport=no\nports=off"

    def mount(self):
        """As lodged does it: READ_AHEAD_KIB of protocol/lib/read_ahead.h."""
        return "mount virtiofs lodge - work 512"


class LodgeNoDax(Lodge):
    """The same without a DAX window: every read and write is a message."""

    def device_group(self):
        return super().device_group().replace("[device]", "[device]\ndax-size=0")


class LodgeAllDax(Lodge):
    """The same with large files of every file system in the window."""

    def device_group(self):
        return super().device_group().replace("[device]", "[device]\ndax-files=all")


class LodgeFs2(Lodge):
    """The same in a guest without virtiofs: by the module lodge_fs and mount.lodge."""

    def mount(self):
        return "mount lodge lodge - work"


def has_lodge(env):
    """Whether there is a Lodge to measure."""
    return shutil.which(env.program("lodge-vmm")) is not None
