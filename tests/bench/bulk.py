# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of a guest's program, in bulk: `lodge exec` beside guest-exec of QEMU's guest agent.

Both guests are the same: init, a static busybox whose cat(1) writes a file of random bytes again and again, and
the agent. Either agent sits at a virtio-serial port. guest-exec keeps at most 16 MiB of a program's output and hands it
over in one piece of base64; so QEMU runs the program as often as it takes. Each byte that arrives is compared.
"""

import base64
import json
import os
import shutil
import socket
import stat
import subprocess
import time

import counts
import machines

AGENT_OUTPUT_MAX = 16 << 20  # GUEST_EXEC_MAX_OUTPUT of QEMU's qga/commands.c
PIECE = 999983  # bytes of the file: no buffer's size divides it, so a lost one shows
READ = 1 << 20
CONF = "[guest-ops]\nallow-exec=root\n"
PASSWD = "root:x:0:0:root:/:/bin/busybox\n"
PATIENCE_S = 60


class Output:
    """What a program has written, compared as it comes."""

    def __init__(self, path, pieces):
        with open(path, "rb") as file:
            piece = file.read()
        self.twice = piece * (2 + READ // PIECE)
        self.wanted = pieces * PIECE
        self.total = 0

    def take(self, data):
        """The next bytes, READ at most."""
        at = self.total % PIECE
        if data != self.twice[at:at + len(data)]:
            raise machines.BenchError(f"other bytes came than the guest wrote, behind the first {self.total}")
        self.total += len(data)

    def end(self):
        """All of it must have come."""
        if self.total != self.wanted:
            raise machines.BenchError(f"{self.total} bytes of {self.wanted} came")


def memory_kib(pid, word):
    """A line of /proc/PID/status. RssAnon of a monitor has what its guest touched in it, where that is no file's."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next((int(line.split()[1]) for line in status if line.startswith(word + ":")), 0)


def newc(name, mode, data=b""):
    """An entry of a cpio archive as the kernel reads it."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def libraries(program):
    """The shared libraries of a program, its loader among them."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [word for line in listed.splitlines() for word in line.split() if word.startswith("/")]


def piece_path(image):
    """The file of random bytes, beside the image that holds it."""
    path = os.path.join(os.path.dirname(image), "piece")
    if not os.path.exists(path):
        with open(path, "wb") as file:
            file.write(os.urandom(PIECE))
    return path


def make_initramfs(env, path, agent):
    """The initramfs of rpc's rows, and behind it the agent with what it needs."""
    return add_agent(env.initramfs("rpc"), path, agent,
                     {"/bin/busybox": shutil.which("busybox"), "/piece": piece_path(path)})


def add_agent(initramfs, path, agent, files):
    """An initramfs, and behind it the agent with its libraries, its configuration and other files."""
    files = {"/bin/agent": agent, **files}
    for program in list(files.values()):
        if program.endswith(".so") or program == agent:
            files.update((library, library) for library in libraries(program))
    folders = set()
    for name in list(files) + ["/etc/x", "/run/x", "/tmp/x", "/var/run/x"]:
        while name := os.path.dirname(name).rstrip("/"):
            folders.add(name)
    with open(initramfs, "rb") as base, open(path, "wb") as out:
        shutil.copyfileobj(base, out)
        for name in sorted(folders):
            out.write(newc(name[1:], stat.S_IFDIR | 0o755))
        for name, source in files.items():
            with open(source, "rb") as file:
                out.write(newc(name[1:], stat.S_IFREG | 0o755, file.read()))
        out.write(newc("etc/tools.conf", stat.S_IFREG | 0o644, CONF.encode()))
        out.write(newc("etc/passwd", stat.S_IFREG | 0o644, PASSWD.encode()))
        out.write(newc("TRAILER!!!", 0))
    return path


class LodgeExec(machines.Lodge):
    """Lodge, lodged in the guest."""

    def command(self):
        argv = super().command()
        self.base = os.path.join(self.work, "xdg")
        argv[argv.index("--runtime") + 1] = os.path.join(self.base, "lodge", os.path.basename(self.work))
        return argv

    def device_group(self):
        return "[device]\nballoon=no\nclock=no\nrng=no\nlegacy=no\n[backdoor]\ndevice=no\nport=yes\nports=off"

    def lodge(self, verb, *words, **more):
        """Runs a verb of lodge on this VM."""
        environment = dict(os.environ, XDG_RUNTIME_DIR=self.base)
        return subprocess.Popen([self.env.program("lodge"), *verb, self.work, *words],
                                env=environment, **more)

    def connect(self):
        """Starts the agent and waits for it."""
        self.peak = [0, 0]
        self.ask("start /bin/agent --conf=/etc/tools.conf --run-folder=/run/lodged")
        if self.lodge(["wait", "--timeout", str(PATIENCE_S)], "tools").wait():
            raise machines.BenchError(f"lodged does not answer{self.last_words()}")
        with self.lodge(["exec", "-n"], "/bin/busybox", "pidof", "agent", stdout=subprocess.PIPE) as process:
            self.daemon = min(int(pid) for pid in process.stdout.read().split())

    def transfer(self, pieces):
        """Bytes of a program's output that arrived."""
        output = Output(piece_path(self.initramfs), pieces)
        with self.lodge(["exec", "-n"], "/bin/busybox", "cat", *["/piece"] * pieces,
                        stdout=subprocess.PIPE) as process:
            while data := process.stdout.read(READ):
                output.take(data)
                for i, pid in enumerate([self.process.pid, process.pid]):
                    self.peak[i] = max(self.peak[i], memory_kib(pid, "RssAnon"))
        output.end()
        return output.total

    def peaks(self):
        """KiB that the monitor, its client and the daemon had at most so far."""
        with self.lodge(["exec", "-n"], "/bin/busybox", "grep", "VmHWM", f"/proc/{self.daemon}/status",
                        stdout=subprocess.PIPE) as process:
            return self.peak + [int(process.stdout.read().split()[1])]


class QemuAgent(machines.Qemu):
    """QEMU, its agent in the guest."""

    def prepare(self):
        self.socket = os.path.join(self.work, "ga.sock")
        self.connection = None

    def devices(self):
        return ["-chardev", f"socket,id=ga,path={self.socket},server=on,wait=off",
                "-device", "virtio-serial-pci",
                "-device", "virtserialport,chardev=ga,name=org.qemu.guest_agent.0"]

    def call(self, command, **arguments):
        """One command of the agent."""
        request = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        self.connection.sendall(request)
        answer = json.loads(self.replies.readline())
        if "return" not in answer:
            raise machines.BenchError(f"qemu-ga: {command}: {answer}")
        return answer["return"]

    def connect(self):
        """Starts the agent and waits for it."""
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE_S)
        self.connection.connect(self.socket)
        self.replies = self.connection.makefile("rb")
        self.ask("start /bin/agent -m virtio-serial -p /dev/vport0p1 -t /run -f /run/ga.pid")
        self.call("guest-ping")

    def transfer(self, pieces):
        """Bytes of a program's output that arrived."""
        output = Output(piece_path(self.initramfs), pieces)
        while pieces > 0:
            some = min(pieces, (AGENT_OUTPUT_MAX - 1) // PIECE)
            pieces -= some
            pid = self.call("guest-exec", **{"path": "/bin/busybox", "capture-output": True,
                                             "arg": ["cat"] + ["/piece"] * some})["pid"]
            while not (status := self.call("guest-exec-status", pid=pid))["exited"]:
                time.sleep(0.005)
            data = base64.b64decode(status["out-data"])
            for at in range(0, len(data), READ):
                output.take(data[at:at + READ])
        output.end()
        return output.total

    def stop(self):
        if self.connection:
            self.connection.close()
        super().stop()


def make_all(env, work):
    """Lodge's machine, where it is built, and QEMU's, where its agent is installed."""
    vms = []
    agents = [("lodge", LodgeExec, env.program("lodged")), ("qemu-ga", QemuAgent, "/usr/sbin/qemu-ga")]
    for name, kind, agent in agents:
        if not os.access(agent, os.X_OK):
            continue
        os.makedirs(work, exist_ok=True)
        image = make_initramfs(env, os.path.join(work, name + ".cpio"), agent)
        vms.append(kind(name, env, work, initramfs=image))
    if not any(vm.name == "qemu-ga" for vm in vms):
        raise machines.BenchError("no qemu-ga is installed: make deps")
    return vms


def monitor_private(vm):
    """Private memory of the monitor beyond the guest's own, in MiB."""
    return counts.own_memory(vm.pids(), machines.MEMORY_MIB, "/")[0] / 1024
