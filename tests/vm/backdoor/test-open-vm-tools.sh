#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A client that nobody here wrote: Debian's open-vm-tools as it is, over VMware's I/O ports, by both ways past
# ring 3's fault; and the kernel's own VMware drivers.
# TIMEOUT: 700
# NEEDS: lodge vmtoolsd vmware-rpctool vmware-toolbox-cmd vmware-checkvm busybox
# shellcheck source=tests/vm/lib.sh
. "$LIB"

parameter=/sys/module/kvm/parameters/enable_vmware_backdoor

# let_everybody Y|N: whether this KVM lets every process of a guest reach the ports. False where KVM is not ours
# to reload, which is everywhere but in the lab.
let_everybody() {
	[ "$(cat $parameter)" != "$1" ] || return 0
	[ "$(hostname)" = lodge-lab ] || return 1
	# A monitor that is about to end still has it.
	ok "kvm is taken out" wait_for 60 modprobe -r kvm_amd kvm
	modprobe kvm enable_vmware_backdoor="$1"
	modprobe kvm_amd
	chmod 666 /dev/kvm
	is "$(cat $parameter)" "$1" "kvm is loaded with enable_vmware_backdoor=$1"
}

# said KEY: what the guest printed behind "KEY: "
said() {
	sed -n "s/^$1: //p" "$WORK/.out"
}

# show WHAT: what there is to see where a check of it has failed
shown=0
show() {
	[ "$failures" = "$shown" ] || { tail -n 100 .out .err box.* data/vmtoolsd 2>/dev/null | sed "s/^/#   $1: /"; }
	shown=$failures
	echo "# $1: until $SECONDS s"
}

# The ports alone, and nobody else's tools at them.
only_ports=(--set backdoor.device=no --set backdoor.port=no)

# Complaints of a guest's kernel; a slow machine is none.
complaints="dmesg | grep -E 'Oops|BUG:|WARNING: CPU|general protection' | grep -v -E 'soft lockup|hogged CPU'"

cat >asks.sh <<'END'
# asks.sh [STARTER]: the tools' small programs, and the daemon
tell() {
	key=$1
	shift
	echo "$key: $("$@" 2>&1 | tr '\n' ' ' | sed 's/ $//')"
}
now() {
	cut -d. -f1 /proc/uptime
}
# Seconds by which stat hosttime differs from this clock; 0 for what its second and the asking explain.
difference() {
	before=$(($(date +%s) - 1))
	host=$(date -d "$($1 vmware-toolbox-cmd stat hosttime)" +%s)
	after=$(($(date +%s) + 1))
	if [ "$host" -lt $before ]; then
		echo $((host - before))
	elif [ "$host" -gt $after ]; then
		echo $((host - after))
	else
		echo 0
	fi
}
tell checkvm $1 vmware-checkvm
tell set $1 vmware-rpctool "info-set guestinfo.x two words"
tell get $1 vmware-rpctool "info-get guestinfo.x"
tell missing $1 vmware-rpctool "info-get guestinfo.none"
tell unknown $1 vmware-rpctool "no.such.word"
tell speed $1 vmware-toolbox-cmd stat speed
tell session $1 vmware-toolbox-cmd stat sessionid
echo "host: $(date -d "$($1 vmware-toolbox-cmd stat hosttime)" +%s)"
$1 vmtoolsd >vmtoolsd.log 2>&1 &
tools=$!
end=$(($(now) + 90))
until $1 vmware-rpctool 'info-get guestinfo.vmtools.description' >/dev/null 2>&1 || [ $(now) -gt $end ]; do
	sleep 0.2
done
tell status $1 vmware-toolbox-cmd timesync status
date -s '-1 hour' >/dev/null
tell enable $1 vmware-toolbox-cmd timesync enable
tell enabled $1 vmware-toolbox-cmd timesync status
late=3600
end=$(($(now) + 90))
until [ "$late" = 0 ] || [ $(now) -gt $end ]; do
	sleep 0.2
	late=$(difference $1)
done
echo "late: $late"
kill -0 $tools && echo "daemon: up"
sed 's/^/vmtoolsd: /' vmtoolsd.log
END

check_asks() {
	local how=$1
	like "$(said checkvm)" "VMware software version 6 .good." "$how: vmware-checkvm says VMware"
	is "$(said get)" "two words" "$how: a variable there and back"
	like "$(said missing)" "No value found" "$how: one that is not there"
	like "$(said unknown)" "Unknown command" "$how: a word that is not there"
	like "$(said speed)" "^[1-9][0-9]* MHz$" "$how: stat speed"
	like "$(said session)" "^0x[0-9a-f]+$" "$how: stat sessionid"
	# The guest's own clock is no measure: it loses what its kernel's start takes.
	ok "$how: stat hosttime" [ "$(said host)" -ge "$began" -a "$(said host)" -le "$(date +%s)" ]
	is "$(said daemon)" up "$how: vmtoolsd stays up"
	is "$(said status) $(said enable) $(said enabled)" "Disabled Enabled Enabled" "$how: timesync"
	is "$(said late)" 0 "$how: which sets a clock that is an hour late"
	show "$how"
}

check_nobody_may() {
	local began
	began=$(date +%s)
	run lodge run --memory 512M "${only_ports[@]}" --env "PROGRAMS=$BUILD/guest" -- sh -c "
		$end_lodged
		echo probe: \$(\$PROGRAMS/vmports probe)
		echo without: \$(vmware-checkvm 2>&1)
		setpriv --reuid 65534 --clear-groups \$PROGRAMS/lodge-ioperm true 2>&1 | sed 's/^/ioperm: /'
		sh $PWD/asks.sh \$PROGRAMS/lodge-ioperm
		for n in 64 60000; do
			\$PROGRAMS/vmports measure 3 \$n pieces | sed 's/^/measure: /'
			\$PROGRAMS/vmports measure 3 \$n strings | sed 's/^/measure: /'
		done
		\$PROGRAMS/vmports abuse 2>&1 | sed 's/^/abuse: /'
		$complaints | sed 's/^/complaint: /'"
	is "$(said probe)" fault "without the ports a process gets the fault"
	like "$(said without)" "Error" "and vmware-checkvm finds nothing"
	like "$(said ioperm)" "run it as root" "lodge-ioperm asks for root"
	like "$(said abuse)" "bad=0" "a process that has them does no harm (T33, T35)"
	is "$(said measure | grep -c bytes=)" 4 "messages by pieces and by strings come back as they went"
	said measure | sed 's/^/# /'
	is "$(said complaint)" "" "the guest's kernel has nothing to complain of"
	check_asks ioperm
}

check_everybody_may() {
	local began
	began=$(date +%s)
	run lodge run --memory 512M "${only_ports[@]}" -- sh -c "$end_lodged; sh $PWD/asks.sh"
	check_asks enable_vmware_backdoor
}

# A guest that takes orders: vmtoolsd with a power script; what the kernel's init would do is done by busybox.
# Its name is one that lodged has not told.
cat >daemon.sh <<END
$end_lodged
END
cat >>daemon.sh <<'END'
busybox hostname renamed
mkdir -p /etc/vmware-tools
rm -f /sbin/shutdown
printf '#!/bin/sh\nbusybox poweroff -f\n' >/sbin/shutdown
printf '#!/bin/sh\necho "script %s" >>/mnt/lodge/data/log\n' poweroff >/etc/vmware-tools/poweroff-vm-default
chmod +x /sbin/shutdown /etc/vmware-tools/poweroff-vm-default
touch /mnt/lodge/data/alone
vmtoolsd >/mnt/lodge/data/vmtoolsd 2>&1 &
until [ -e /mnt/lodge/data/play ]; do sleep 0.1; done
setpriv --reuid 65534 --clear-groups $PROGRAMS/vmports tools 5 >/mnt/lodge/data/anybody
touch /mnt/lodge/data/anybody.end
until [ -e /mnt/lodge/data/play-owner ]; do sleep 0.1; done
$PROGRAMS/lodge-ioperm $PROGRAMS/vmports tools 600 >/mnt/lodge/data/owner &
until [ -e /mnt/lodge/data/end-owner ]; do sleep 0.1; done
kill -KILL $!
wait
END

info_has() {
	lodge info --json box | grep -q -E "$1"
}

# Who else may be the tools: no process that comes later, but one that root gave the ports.
check_place() {
	local since
	since=$(lodge info --json box | grep '"up_since"')
	ok "any process may be the tools, and info says so" info_has '"privilege"[ :]*"user"'
	touch data/play
	ok "another one comes" wait_for 100 test -e data/anybody.end
	like "$(cat data/anybody)" "^reset.Capabilities_Register.*broadcastIP" "and is told of the options"
	is "$(lodge info --json box | grep '"up_since"')" "$since" "but not taken for the tools"
	touch data/play-owner
	ok "one that root gave the ports is" wait_for 100 info_has '"privilege"[ :]*"owner"'
	touch data/end-owner
	ok "until it is killed, which closes no channel" wait_for 100 info_has '"privilege"[ :]*"user"'
}

check_orders() {
	local pid
	mkdir -p data
	lodge run --name box --memory 512M "${only_ports[@]}" --set tools.heartbeat=5 --share data=data --env "PROGRAMS=$BUILD/guest" -- sh "$PWD/daemon.sh" \
		>box.out 2>box.err </dev/null &
	pid=$!
	ok "a guest without lodged" wait_for 100 test -e data/alone
	ok "vmtoolsd registers with the host" lodge wait --timeout 100 box tools
	ok "it tells its version" wait_for 60 info_has 'open-vm-tools 1'
	ok "by the I/O ports" info_has '"door"[ :]*"ioports"'
	ok "its guest information comes" wait_for 60 info_has '"hostname"[ :]*"renamed'
	ok "and its system" wait_for 60 info_has 'Debian'
	check_place
	ok "lodge shutdown" timeout 110 lodge shutdown --timeout 100 box
	wait $pid
	is "$(cat data/log)" "script poweroff" "vmtoolsd ran its power script"
	show orders
}

check_kernel_drivers() {
	# shellcheck disable=SC2016 # for the guest
	run lodge run --memory 512M "${only_ports[@]}" --set cpu.hypervisor=vmware -- sh -c "
		$end_lodged"'
		dmesg | sed -n "s/.*Hypervisor detected: /type: /p; s/.*vmware: TSC freq read.*/tsc: known/p"
		modprobe vmw_balloon && sleep 2 && rmmod vmw_balloon && echo "balloon: came and went"
		echo "checkvm: $(vmware-checkvm)"
		'"$complaints | sed 's/^/complaint: /'"
	is "$(said type)" VMware "with hypervisor=vmware, Linux takes the machine for VMware's"
	is "$(said tsc)" known "it asks the port for the frequency of its clock"
	is "$(said balloon)" "came and went" "vmw_balloon, which finds no balloon, stays quietly away"
	like "$(said checkvm)" "version 6" "vmware-checkvm"
	is "$(said complaint)" "" "no complaints"
	run lodge run --memory 384M --set backdoor.ports=off -- "$BUILD/guest/lodge-ioperm" "$BUILD/guest/vmports" probe
	is "$out" fault "with backdoor.ports=off nobody is there"
	show drivers
}

before=$(cat $parameter)
if let_everybody N; then
	check_nobody_may
else
	echo "# this KVM lets everybody reach the ports, and is not ours to reload: lodge-ioperm is left out"
fi
if let_everybody Y; then
	check_everybody_may
	check_orders
	check_kernel_drivers
else
	echo "# this KVM lets nobody reach the ports, and is not ours to reload: enable_vmware_backdoor is left out"
fi
let_everybody "$before"
