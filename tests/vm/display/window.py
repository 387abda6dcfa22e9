# SPDX-License-Identifier: GPL-2.0-or-later
"""A window on display.sock that misbehaves: window.py SOCKET storm|die|babble."""
import os
import random
import signal
import socket
import struct
import sys

ATTACH, RESIZE = 64, 66


def message(kind, *words):
    return struct.pack(f"<IHH{len(words)}I", 4 * len(words), kind, 0, *words)


def receive(window, length):
    """Exactly so many bytes."""
    data = b""
    while len(data) < length:
        more = window.recv(length - len(data))
        if not more:
            sys.exit("window.py: the monitor has closed")
        data += more
    return data


def wait_for(window, wanted):
    """Reads up to a message of that type."""
    while True:
        size, kind, _ = struct.unpack("<IHH", receive(window, 8))
        receive(window, size)
        if kind == wanted:
            return


def storm(window):
    """10,000 sizes at once; says the last one."""
    random.seed(5)
    width, height = 0, 0
    for _ in range(10000):
        width, height = random.randint(320, 800), random.randint(200, 600)
        window.sendall(message(RESIZE, width, height, 0, 0, 0, 0))
    print(f"{width}x{height}")


def main():
    window = socket.socket(socket.AF_UNIX)
    window.connect(sys.argv[1])
    # Nothing to be shown: a storm is of sizes.
    window.sendall(message(ATTACH, 1, 0 if sys.argv[2] == "storm" else 1))
    wait_for(window, 1)
    if sys.argv[2] == "storm":
        storm(window)
    elif sys.argv[2] == "die":
        # Behind a frame, in front of its damage.
        wait_for(window, 2)
        os.kill(os.getpid(), signal.SIGKILL)
    elif sys.argv[2] == "babble":
        window.sendall(os.urandom(65536))


main()
