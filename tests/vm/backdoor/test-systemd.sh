#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodged as a distribution's guest has it: installed by `make install-tools`, started by udev and systemd (process 1 of
# this machine's own root under a throw-away overlay), ended by systemd; and its end where no host is under it.
# TIMEOUT: 600
# NEEDS: lodge lodged busybox cpio udevadm systemctl make
# shellcheck source=tests/vm/lib.sh disable=SC2016
. "$LIB"
# shellcheck source=tests/vm/vhost-user/guest.sh
. "$TOP/tests/vm/vhost-user/guest.sh"

[ -x /lib/systemd/systemd ] || skip "no systemd here"
export XDG_DATA_HOME=$WORK/vms

# A target with as little as udev and the journal need, and what the guest says on its console when it is there.
mkdir -p tree/tools/etc/systemd/system tree/bin
make -s -C "$TOP" BUILD="$BUILD" DESTDIR="$WORK/tree/tools" PREFIX=/usr -o "$BUILD/bin/lodged" -o "$BUILD/bin/lodge-files" \
	-o "$BUILD/bin/lodge-toolbox" install-tools >make.log 2>&1 || fail "make install-tools" "$(cat make.log)"
cat >tree/tools/etc/systemd/system/lodge-test.target <<'UNIT'
[Unit]
Requires=basic.target lodge-last.service
After=basic.target
AllowIsolate=yes
UNIT
cat >tree/tools/etc/systemd/system/lodge-last.service <<'UNIT'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sh -c 'echo "units are stopped in order" >/dev/ttyS0'
UNIT
# The same service where nothing is at any door.
sed 's,^RuntimeDirectory=.*,RuntimeDirectory=alone,; s,^ExecStart=.*,& --door-path=/nowhere --run-folder=/run/alone,
	/^ExecStart=/a ExecStopPost=+/bin/sh -c '\''echo $SERVICE_RESULT $EXIT_STATUS >>/run/alone.end'\' \
	tree/tools/usr/lib/systemd/system/lodged.service >tree/tools/etc/systemd/system/alone.service
# Restarts lodged, and looks at it with its own eyes.
cat >tree/tools/probe.sh <<'END'
say() {
	echo "probe: $*" >/dev/ttyS0
}
show() {
	systemctl show -p "$1" --value lodged
}
inside() {
	nsenter -t "$(show MainPID)" -m -- "$@" 2>&1
}
number() {
	echo "$1 $(sed -n "s/^$1:[[:blank:]]*//p" "/proc/$(show MainPID)/status")"
}
read_only() {
	case $(inside sh -c "$1") in *'Read-only file system'*) echo read-only ;; *) echo writable ;; esac
}
touch /tmp/witness
umount -l /mnt/lodge
systemctl restart lodged
until [ -n "$(show StatusText)" ]; do sleep 0.2; done
say "state $(show ActiveState) $(show StatusText | sed 's/.*the \(.*\) door/\1/')"
say "limits $(number NoNewPrivs), $(number Seccomp), $(number CapBnd)"
say "filters $(show RestrictNamespaces) $(show RestrictAddressFamilies) $(show MemoryDenyWriteExecute) $(show SystemCallArchitectures)"
say "root $(inside ls -A /root | grep -c -v 'Permission denied') names"
say "usr $(read_only 'echo >/usr/probe')"
say "tmp $(inside test -e /tmp/witness && echo shared || echo private)"
say "tunables $(read_only 'echo 1 >/proc/sys/kernel/sysrq')"
say "cgroups $(read_only 'mkdir /sys/fs/cgroup/probe')"
say done
tries=0
until [ -e /mnt/lodge/docs/file ] || [ $tries = 200 ]; do
	tries=$((tries + 1))
	sleep 0.2
done
say "share $(cat /mnt/lodge/docs/file 2>&1)"
journalctl -b -o cat -u lodged | tail -n 8 >/dev/ttyS0
END
cat >tree/tools/etc/systemd/system/probe.service <<'UNIT'
[Service]
ExecStart=/bin/sh /probe.sh
UNIT
printf '[guest-ops]\nallow-exec=root\n' >tree/tools/etc/lodge/tools.conf
printf '#!/bin/sh\necho "script: poweroff $1" >/dev/ttyS0\n' >tree/tools/etc/lodge/scripts/poweroff
chmod 755 tree/tools/etc/lodge/scripts/poweroff
# Not by its path: /tmp is emptied at the start.
cp "$BUILD/modules/$kernel/lodge_backdoor.ko" tree/tools/ 2>/dev/null
mkdir -p tree/modules
: >tree/modules/list
add_module overlay
make_guest '
	insmod /modules/overlay.ko
	mkdir -p /lower /rw /new
	mount -t virtiofs -o ro root /lower
	mount -t tmpfs tmpfs /rw
	mkdir /rw/upper /rw/work
	mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /new
	cp -a /tools/. /new/
	# By which systemd takes itself for one of a container.
	rm -f /new/.dockerenv /new/run/.containerenv
	mount --move /dev /new/dev
	mount --move /proc /new/proc
	mount --move /sys /new/sys
	exec switch_root /new /lib/systemd/systemd
'

mkdir -p vms/lodge/box
cat >vms/lodge/box/vm.conf <<-CONF
	[cpu]
	count=1
	[memory]
	size=512M
	[boot]
	kernel=/boot/vmlinuz-$kernel
	initrd=$WORK/initrd
	append=console=ttyS0 quiet panic=-1 systemd.unit=lodge-test.target systemd.condition-needs-update=no systemd.firstboot=no systemd.mask=timers.target systemd.mask=systemd-timesyncd.service systemd.mask=systemd-pstore.service systemd.show-status=no
	on-reset=stop
	[serial]
	backend=file:$WORK/console
	[root]
	path=/
	[device]
	shares=yes
	[backdoor]
	ports=off
CONF

in_box() {
	timeout 60 lodge exec -n box -- "$@"
}

# Of lodged.service: what systemctl show says of a property.
property() {
	in_box systemctl show -p "$1" --value lodged
}

has_property() {
	[ "$(property "$1")" = "$2" ]
}

check_start() {
	ok "the VM starts" lodge start box
	ok "udev starts lodged, and the tools register" lodge wait --timeout 300 box tools
	ok "Type=notify: it is active" wait_for 60 has_property ActiveState active
	is "$(property UnitFileState)" disabled "though it is not enabled"
	is "$(property StatusText)" "Connected through the port door" "its status says by which door"
	like "$(in_box journalctl -b -o cat -u lodged)" "connected to the host through the port door" "so does the journal"
	is "$(in_box stat -L -c '%U %a %F' /dev/virtio-ports/org.lodge.tools.0)" "root 600 character special file" \
		"the port has its link, and is root's"
}

check_restart() {
	local pid
	pid=$(property MainPID)
	in_box systemctl --no-block restart lodged
	ok "it is stopped for a restart" wait_for 60 sh -c "! lodge exec -n box -- kill -0 $pid"
	ok "and comes again" lodge wait --timeout 90 box tools
	is "$(property NRestarts)" 0 "which is no failure"
	in_box sh -c 'kill -KILL $(systemctl show -p MainPID --value lodged)' 2>/dev/null
	ok "when it is killed it comes by itself" wait_for 60 has_property NRestarts 1
	in_box systemctl reload lodged
	ok "reload has it read tools.conf" wait_for 60 sh -c \
		"lodge exec -n box -- journalctl -o cat -u lodged | grep -q 'tools.conf was read again'"
}

check_module() {
	[ -e tree/tools/lodge_backdoor.ko ] || { echo "# no lodge_backdoor.ko for $kernel"; return; }
	in_box insmod /lodge_backdoor.ko
	ok "with the module lodged moves to /dev/lodge" wait_for 60 has_property StatusText "Connected through the virtio door"
	is "$(in_box stat -c %a /dev/lodge)" 666 "which is for everybody"
	like "$(in_box udevadm info /dev/lodge)" "SYSTEMD_WANTS=lodged.service" "and has udev's word to start lodged"
	like "$(in_box journalctl -b -o cat -u lodged)" "leaving the port door for a better one" "the journal says so"
}

check_work() {
	head -c 1000000 /dev/urandom >sent
	ok "a file goes in" lodge cp -q sent box:/root/sent
	ok "and out" lodge cp -q box:/root/sent back
	ok "the same" cmp sent back
	is "$(in_box cat /proc/self/cgroup)" "0::/system.slice/lodged.service" "programs belong to the service"
	like "$(lodge info box)" "$(sed -n 's/^PRETTY_NAME="\([^(]*\) .*/\1/p' /etc/os-release)" "facts arrive"
	is "$(in_box systemctl list-units --failed --no-legend --plain 'lodge*')" "" "no unit has failed"
}

# What probe.sh said: of KEY
probed() {
	console | tr -d '\r' | sed -n "s/^probe: $1 //p"
}

# The drop-in for guests that run nothing for the host. What it does is seen by a service beside lodged.
check_no_exec() {
	in_box sh -c '
		mkdir -p /etc/systemd/system/lodged.service.d
		cp /usr/share/doc/lodge/examples/no-exec.conf /etc/systemd/system/lodged.service.d/
		echo "[guest-ops]" >/etc/lodge/tools.conf
		systemctl daemon-reload
		systemctl --no-block start probe' 2>/dev/null
	ok "with the drop-in lodged comes again" wait_for 60 sh -c "grep -q 'probe: done' '$WORK/console'"
	# shellcheck disable=SC2317 # called by wait_for
	refuses_exec() { lodge exec -n box -- true 2>&1 | grep -q allow-exec; }
	ok "and runs nothing" wait_for 60 refuses_exec
	is "$(probed state)" "active virtio" "its state, and its door"
	is "$(probed limits)" "NoNewPrivs 1, Seccomp 2, CapBnd 00000000006e0024" "NoNewPrivileges, CapabilityBoundingSet"
	is "$(probed filters)" "mnt AF_NETLINK AF_UNIX yes native" \
		"the filters of system calls"
	is "$(probed root)" "0 names" "ProtectHome"
	is "$(probed usr)" "read-only" "ProtectSystem"
	is "$(probed tmp)" "private" "PrivateTmp"
	is "$(probed tunables)" "read-only" "ProtectKernelTunables"
	is "$(probed cgroups)" "read-only" "ProtectControlGroups"
	like "$(lodge info box)" "TOOLS  .*lodged.*system .*kernel " "it tells its facts"
	ok "carries variables" lodge var set box colour=red
	mkdir docs && echo shared >docs/file
	ok "mounts shares" lodge share add box "docs=$PWD/docs"
	ok "for everybody" wait_for 120 sh -c "grep -q 'probe: share ' '$WORK/console'"
	is "$(probed share)" shared "which has them"
}

check_shutdown() {
	run timeout 100 lodge shutdown --timeout 90 box
	is "$status$err" 0 "lodge shutdown"
	like "$(console)" "script: poweroff halt" "runs the script"
	like "$(console)" "units are stopped in order" "and ends the system by systemd"
}

# Without any door under it.
check_alone() {
	run in_box systemctl start alone
	is "$status$err" 0 "without a host the service starts"
	ok "and is stopped" wait_for 60 sh -c "lodge exec -n box -- systemctl is-active alone | grep -qx inactive"
	is "$(in_box cat /run/alone.end)" "success 69" "which is a success, and not tried again"
	is "$(in_box systemctl list-units --failed --no-legend --plain alone)" "" "nothing has failed"
	like "$(in_box journalctl -u alone -o cat)" "neither Lodge nor VMware" "the journal says why"
}

for part in start restart work alone module no_exec shutdown; do
	check_$part
	echo "# $part: until $SECONDS s"
done
[ "$failures" = 0 ] || console | tail -n 40 | sed 's/^/#   /'
