# SPDX-License-Identifier: GPL-2.0-or-later
"""The watcher of display.*: as much of the X protocol as it takes to give a window a size and to see when the
guest's picture of that size is all there.

Numbers of requests, and where their fields lie, are those of X11R7's protocol, appendix B, and of the DAMAGE
extension, version 1.1.
"""

import select
import socket
import struct
import time

CONFIGURE_WINDOW, GET_WINDOW_ATTRIBUTES, GET_GEOMETRY, QUERY_TREE, GET_IMAGE, QUERY_EXTENSION = 12, 3, 14, 15, 73, 98
PLACE_AND_SIZE = 1 | 2 | 4 | 8
VIEWABLE = 2
Z_PIXMAP = 2
DAMAGE_QUERY_VERSION, DAMAGE_CREATE, DAMAGE_DESTROY, DAMAGE_SUBTRACT = 0, 1, 2, 3
NON_EMPTY = 3  # one event until the damage is subtracted
ERROR, REPLY = 0, 1
BAD_MATCH = 8


class WatchError(Exception):
    """The X server says no, or goes."""


def padded(data):
    """To whole words."""
    return data + b"\0" * (-len(data) % 4)


class Watcher:
    """A connection to the X server :number of this machine, without authority."""

    def __init__(self, number):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(f"/tmp/.X11-unix/X{number}")
        self.buffer = b""
        self.sequence = 0
        self.damaged = False
        self.socket.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        head = self._take(8)
        rest = self._take(4 * struct.unpack_from("<H", head, 6)[0])
        if head[0] != 1:
            raise WatchError("the X server refuses the connection")
        self.id_base, vendor, formats = struct.unpack_from("<4xI8xH3xB", rest)
        self.root, = struct.unpack_from("<I", rest, 32 + len(padded(b"x" * vendor)) + 8 * formats)
        present, self.damage_opcode, self.damage_event = struct.unpack_from(
            "<BBB", self._ask(QUERY_EXTENSION, 0, struct.pack("<H2x", 6) + padded(b"DAMAGE")), 8)
        if not present:
            raise WatchError("the X server has no DAMAGE extension")
        self._ask(self.damage_opcode, DAMAGE_QUERY_VERSION, struct.pack("<II", 1, 1))

    def close(self):
        """Ends the connection."""
        self.socket.close()

    def _take(self, length):
        while len(self.buffer) < length:
            data = self.socket.recv(65536)
            if not data:
                raise WatchError("the X server has gone")
            self.buffer += data
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def _tell(self, opcode, detail, body):
        self.sequence = self.sequence + 1 & 0xffff
        self.socket.sendall(struct.pack("<BBH", opcode, detail, 1 + len(body) // 4) + body)

    def _next(self):
        """A reply, or None where an event came. That there is no such pixel is a reply, too."""
        packet = self._take(32)
        if packet[0] == ERROR and packet[1] == BAD_MATCH and packet[10] == GET_IMAGE:
            return packet
        if packet[0] == ERROR:
            raise WatchError(f"the X server says error {packet[1]} to request {packet[10]}")
        if packet[0] == REPLY:
            return packet + self._take(4 * struct.unpack_from("<I", packet, 4)[0])
        if packet[0] & 0x7f == self.damage_event:
            self.damaged = True
        return None

    def _ask(self, opcode, detail, body):
        self._tell(opcode, detail, body)
        while (reply := self._next()) is None:
            pass
        return reply

    def size(self, window):
        """Width and height."""
        return struct.unpack_from("<HH", self._ask(GET_GEOMETRY, 0, struct.pack("<I", window)), 16)

    def _visible(self, window):
        return self._ask(GET_WINDOW_ATTRIBUTES, 0, struct.pack("<I", window))[26] == VIEWABLE

    def find_window(self, seconds):
        """The largest window on the screen, which has no window manager."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            tree = self._ask(QUERY_TREE, 0, struct.pack("<I", self.root))
            children = struct.unpack_from(f"<{struct.unpack_from('<H', tree, 16)[0]}I", tree, 32)
            shown = [child for child in children if self._visible(child) and self.size(child)[0] > 100]
            if shown:
                return max(shown, key=self.size)
            time.sleep(0.1)
        raise WatchError("no window appears")

    def _pixel(self, window, x, y):
        """A colour; -1 outside the window, which may have another size meanwhile."""
        image = self._ask(GET_IMAGE, Z_PIXMAP, struct.pack("<IhhHHI", window, x, y, 1, 1, 0xffffffff))
        return struct.unpack_from("<I", image, 32)[0] & 0xffffff if image[0] == REPLY else -1

    def holds_picture(self, window, width, height):
        """Whether the lower part of the window, below a menu perhaps, is one of displayjobs.c's pictures, as wide
        as the window is: all four corners name its size."""
        colour = self._pixel(window, width - 1, height - 1)
        top = height - (colour & 0xfff)
        return colour >> 12 == width and 0 <= top < height and all(
            self._pixel(window, x, y) == colour for x, y in ((0, height - 1), (width - 1, top), (0, top)))

    def resize(self, window, width, height, seconds):
        """Gives the window a size, in the screen's corner: seconds until the guest's picture of that size is there."""
        damage = self.id_base | 1
        self._tell(self.damage_opcode, DAMAGE_CREATE, struct.pack("<IIB3x", damage, window, NON_EMPTY))
        began = time.monotonic()
        self._tell(CONFIGURE_WINDOW, 0, struct.pack("<IH2xiiII", window, PLACE_AND_SIZE, 0, 0, width, height))
        while True:
            self.damaged = False
            self._tell(self.damage_opcode, DAMAGE_SUBTRACT, struct.pack("<III", damage, 0, 0))
            if self.holds_picture(window, width, height):
                break
            while not self.damaged:
                if time.monotonic() > began + seconds:
                    raise WatchError(f"no picture of {width}x{height} in {seconds} s")
                if self.buffer or select.select([self.socket], [], [], 1)[0]:
                    self._next()
        took = time.monotonic() - began
        self._tell(self.damage_opcode, DAMAGE_DESTROY, struct.pack("<I", damage))
        return took
