# SPDX-License-Identifier: GPL-2.0-or-later
"""The test card (card.h) in a full-screen window of a Wayland compositor, again at each size that it gives. Says the sizes."""
import array
import os
import socket
import struct

DISPLAY, REGISTRY = 1, 2
XRGB8888 = 1

link = socket.socket(socket.AF_UNIX)
made = REGISTRY


def send(thing, request, *words, fd=None):
    data = struct.pack(f"<II{len(words)}I", thing, 8 + 4 * len(words) << 16 | request, *words)
    rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    link.sendmsg([data], rights)


def new():
    global made
    made += 1
    return made


def bind(name, interface):
    """Version 1 of it."""
    text = interface + b"\0"
    text += bytes(-len(text) % 4)
    words = struct.unpack(f"<{len(text) // 4}I", text)
    send(REGISTRY, 0, name, len(interface) + 1, *words, 1, new())
    return made


def receive(length):
    data = link.recv(length, socket.MSG_WAITALL)
    if len(data) < length:
        raise SystemExit("the compositor has gone")
    return data


def events():
    """Each as thing, event, what it carries."""
    while True:
        thing, head = struct.unpack("<II", receive(8))
        yield thing, head & 0xffff, receive((head >> 16) - 8)


def card(width, height):
    lines = []
    for y in range(height):
        line = b""
        for block in range(width + 255 >> 8):
            part = bytearray(1024)
            part[0::4] = bytes([block & 3 | (y >> 8 & 3) << 2]) * 256
            part[1::4] = bytes([y & 255]) * 256
            part[2::4] = bytes(range(256))
            line += part
        lines.append(line[:4 * width])
    return b"".join(lines)


def show(shm, surface, width, height):
    size = 4 * width * height
    fd = os.memfd_create("card")
    with open(fd, "wb", closefd=False) as file:
        file.write(card(width, height))
    pool = new()
    send(shm, 0, pool, size, fd=fd)
    os.close(fd)
    picture = new()
    send(pool, 0, picture, 0, width, height, 4 * width, XRGB8888)
    send(surface, 1, picture, 0, 0)
    send(surface, 2, 0, 0, width, height)
    send(surface, 6)
    print(f"{width}x{height}", flush=True)


def globals_of(wanted):
    """What the compositor offers of these, bound."""
    bound = {}
    send(DISPLAY, 1, REGISTRY)
    send(DISPLAY, 0, new())
    done = made
    for thing, event, data in events():
        if thing == done:
            return bound
        if (thing, event) == (REGISTRY, 0):
            name, length = struct.unpack_from("<II", data)
            interface = data[8:7 + length]
            if interface in wanted and interface not in bound:
                bound[interface] = bind(name, interface)


def main():
    link.connect(os.path.join(os.environ["XDG_RUNTIME_DIR"], os.environ["WAYLAND_DISPLAY"]))
    bound = globals_of((b"wl_compositor", b"wl_shm", b"xdg_wm_base"))
    shm, wm = bound[b"wl_shm"], bound[b"xdg_wm_base"]
    surface, role, window = new(), new(), new()
    send(bound[b"wl_compositor"], 0, surface)
    send(wm, 2, role, surface)
    send(role, 1, window)
    send(window, 11, 0)  # full screen
    send(surface, 6)
    size = shown = (0, 0)
    for thing, event, data in events():
        words = struct.unpack(f"<{len(data) // 4}I", data)
        if (thing, event) == (wm, 0):
            send(wm, 3, words[0])  # pong
        elif (thing, event) == (window, 0):
            size = words[:2]
        elif (thing, event) == (role, 0):
            send(role, 4, words[0])  # as it was configured
            if size != shown and 0 not in size:
                show(shm, surface, *size)
                shown = size
            else:
                send(surface, 6)
        elif (thing, event) == (DISPLAY, 0):
            raise SystemExit(f"the compositor complains: {data!r}")


main()
