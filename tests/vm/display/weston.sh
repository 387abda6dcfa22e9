# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For scenarios of weston: what wayland.sh has, and what starts weston there.
# shellcheck source=tests/vm/display/wayland.sh
. "$TOP/tests/vm/display/wayland.sh"

cat >weston.ini <<'END'
[core]
idle-time=0
[shell]
background-image=/mnt/lodge/job/card.png
background-type=tile
panel-position=none
startup-animation=none
close-animation=none
locking=false
END
# What logind would do for it: weston gets its terminal and the devices that it asks for, each as a message of
# flags and a path, answered by event 3 with a descriptor (weston 10's own protocol).
cat >launch.py <<'END'
import fcntl, os, socket, struct, sys
VT_ACTIVATE, VT_WAITACTIVE, KDSETMODE, SET_MASTER = 0x5606, 0x5607, 0x4b3a, 0x641e
with open("/proc/self/comm", "w") as comm:
    comm.write("weston-launch")
tty = os.open("/dev/tty2", os.O_RDWR | os.O_NOCTTY)
fcntl.ioctl(tty, VT_ACTIVATE, 2)
fcntl.ioctl(tty, VT_WAITACTIVE, 2)
fcntl.ioctl(tty, KDSETMODE, 1)
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
if not os.fork():
    for name, fd in (("WESTON_LAUNCHER_SOCK", theirs.fileno()), ("WESTON_TTY_FD", tty)):
        os.set_inheritable(fd, True)
        os.environ[name] = str(fd)
    os.execvp(sys.argv[1], sys.argv[1:])
theirs.close()
while True:
    message = ours.recv(4096)
    if not message:
        break
    path = message[8:].split(b"\0")[0]
    try:
        fd = os.open(path, struct.unpack_from("i", message, 4)[0])
    except OSError:
        ours.send(struct.pack("ii", 3, -1))
        continue
    if path.startswith(b"/dev/dri/"):
        fcntl.ioctl(fd, SET_MASTER, 0)
    socket.send_fds(ours, [struct.pack("ii", 3, 0)], [fd])
    os.close(fd)
os.wait()
fcntl.ioctl(tty, KDSETMODE, 0)
fcntl.ioctl(tty, VT_ACTIVATE, 1)
END
cat >weston.sh <<'END'
export XDG_RUNTIME_DIR=/run/wayland
cd /mnt/lodge/job
exec python3 launch.py weston --backend=drm-backend.so --use-pixman --continue-without-input \
	--config=/mnt/lodge/job/weston.ini --log=/mnt/lodge/job/weston.log
END
start_weston() {
	rm -f weston.log
	inside sh /mnt/lodge/job/weston.sh >weston.out 2>&1 </dev/null &
	weston=$!
	start_compositor weston "$1"
}
end_weston() {
	inside pkill -x weston
	wait "$weston"
}
