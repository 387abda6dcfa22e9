#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A client that nobody here wrote: Debian's open-vm-tools as it is, over VMware's I/O ports, by both ways past
# ring 3's fault; and the kernel's own VMware drivers.
# TIMEOUT: 500
# NEEDS: lodge vmtoolsd vmware-rpctool vmware-toolbox-cmd vmware-checkvm busybox
# shellcheck source=tests/vm/lib.sh
. "$LIB"

parameter=/sys/module/kvm/parameters/enable_vmware_backdoor

# let_everybody Y|N: whether this KVM lets every process of a guest reach the ports. Only in the lab: elsewhere
# KVM is not ours to reload.
let_everybody() {
	[ "$(cat $parameter)" = "$1" ] && return
	[ "$(hostname)" = lodge-lab ] && modprobe -r kvm_amd kvm && modprobe kvm enable_vmware_backdoor="$1" &&
		modprobe kvm_amd && chmod 666 /dev/kvm
}

# said KEY: what the guest printed behind "KEY: "
said() {
	sed -n "s/^$1: //p" "$WORK/.out"
}

# The ports alone, and nobody else's tools at them.
only_ports=(--set backdoor.device=no --set backdoor.port=no)

cat >asks.sh <<'END'
# asks.sh [STARTER]: the tools' small programs, and the daemon
tell() {
	key=$1
	shift
	echo "$key: $("$@" 2>&1 | tr '\n' ' ' | sed 's/ $//')"
}
pkill -x lodged
tell checkvm $1 vmware-checkvm
tell set $1 vmware-rpctool "info-set guestinfo.x two words"
tell get $1 vmware-rpctool "info-get guestinfo.x"
tell missing $1 vmware-rpctool "info-get guestinfo.none"
tell unknown $1 vmware-rpctool "no.such.word"
tell speed $1 vmware-toolbox-cmd stat speed
tell session $1 vmware-toolbox-cmd stat sessionid
host=$($1 vmware-toolbox-cmd stat hosttime)
echo "clock: $(($(date -d "$host" +%s) - $(date +%s)))"
$1 vmtoolsd &
tools=$!
for i in $(seq 100); do
	# Fails until the daemon has told the host of its capabilities.
	$1 vmware-rpctool 'info-get guestinfo.vmtools.description' >/dev/null 2>&1 && break
	sleep 0.2
done
sleep 1
tell status $1 vmware-toolbox-cmd timesync status
date -s '-1 hour' >/dev/null
tell enable $1 vmware-toolbox-cmd timesync enable
for i in $(seq 50); do
	late=$(($(date -d "$($1 vmware-toolbox-cmd stat hosttime)" +%s) - $(date +%s)))
	[ "$late" -gt 10 ] || break
	sleep 0.2
done
echo "late: $late"
tell enabled $1 vmware-toolbox-cmd timesync status
kill -0 $tools && echo "daemon: up"
END

check_asks() {
	local how=$1
	like "$(said checkvm)" "VMware software version 6 .good." "$how: vmware-checkvm says VMware"
	is "$(said get)" "two words" "$how: a variable there and back"
	like "$(said missing)" "No value found" "$how: one that is not there"
	like "$(said unknown)" "Unknown command" "$how: a word that is not there"
	like "$(said speed)" "^[1-9][0-9]* MHz$" "$how: stat speed"
	like "$(said session)" "^0x[0-9a-f]+$" "$how: stat sessionid"
	like "$(said clock)" "^-?[0-3]$" "$how: stat hosttime"
	is "$(said daemon)" up "$how: vmtoolsd stays up"
	is "$(said status) $(said enable) $(said enabled)" "Disabled Enabled Enabled" "$how: timesync"
	like "$(said late)" "^-?[0-3]$" "$how: which sets a clock that is an hour late"
}

check_nobody_may() {
	run lodge run --memory 512M "${only_ports[@]}" --env "PROGRAMS=$BUILD/guest" -- sh -c "
		pkill -x lodged; sleep 0.5
		echo probe: \$(\$PROGRAMS/vmports probe)
		echo checkvm: \$(vmware-checkvm 2>&1)
		setpriv --reuid 65534 --clear-groups \$PROGRAMS/lodge-ioperm true 2>&1 | sed 's/^/ioperm: /'
		sh $PWD/asks.sh \$PROGRAMS/lodge-ioperm
		for n in 64 60000; do
			\$PROGRAMS/vmports measure 3 \$n pieces | sed 's/^/measure: /'
			\$PROGRAMS/vmports measure 3 \$n strings | sed 's/^/measure: /'
		done
		\$PROGRAMS/vmports abuse 2>&1 | sed 's/^/abuse: /'
		dmesg | grep -c -E 'Oops|BUG:|WARNING: CPU|general protection' | sed 's/^/oopses: /'"
	is "$(said probe)" fault "without the ports a process gets the fault"
	like "$(said ioperm)" "run it as root" "lodge-ioperm asks for root"
	like "$(said abuse)" "bad=0" "a process that has them does no harm (T33, T35)"
	is "$(said measure | grep -c bytes=)" 4 "messages by pieces and by strings come back as they went"
	said measure | sed 's/^/# /'
	sed -i '/^checkvm: Error/d' "$WORK/.out"
	check_asks ioperm
	is "$(said oopses)" 0 "the guest's kernel has nothing to complain of"
}

# A guest that takes orders: vmtoolsd with a power script; what the kernel's init would do is done by busybox.
cat >daemon.sh <<'END'
sleep 1
while pkill -x lodged; do sleep 0.2; done
touch /mnt/lodge/data/alone
mkdir -p /etc/vmware-tools
rm -f /sbin/shutdown
printf '#!/bin/sh\necho "shutdown $*" >/dev/hvc0 2>/dev/null\nbusybox poweroff -f\n' >/sbin/shutdown
printf '#!/bin/sh\necho "script %s" >>/mnt/lodge/data/log\n' poweroff >/etc/vmware-tools/poweroff-vm-default
chmod +x /sbin/shutdown /etc/vmware-tools/poweroff-vm-default
vmtoolsd &
wait
END

check_orders() {
	local pid
	mkdir -p data
	lodge run --name box --memory 512M "${only_ports[@]}" --share data=data -- sh "$PWD/daemon.sh" \
		>box.out 2>box.err </dev/null &
	pid=$!
	wait_for 100 test -e data/alone
	ok "vmtoolsd registers with the host" lodge wait --timeout 100 box tools
	ok "it tells its version" wait_for 30 sh -c 'lodge info --json box | grep -q "open-vm-tools 1"'
	ok "its guest information comes" wait_for 60 sh -c 'lodge info --json box | grep "\"hostname\"" | grep -q box'
	run sh -c 'lodge info --json box | grep -v -E "\"(help|rung|by|feature)\"|[{}]" | head -n 70'
	like "$out" '"door"[ :]*"ioports"' "by the I/O ports"
	like "$out" "Debian" "and its system"
	ok "lodge shutdown" timeout 60 lodge shutdown --timeout 50 box
	wait $pid
	is "$(cat data/log)" "script poweroff" "vmtoolsd ran its power script"
}

check_kernel_drivers() {
	# shellcheck disable=SC2016 # for the guest
	run lodge run --memory 512M "${only_ports[@]}" --set cpu.hypervisor=vmware -- sh -c '
		pkill -x lodged
		dmesg | sed -n "s/.*Hypervisor detected: /type: /p; s/.*vmware: TSC freq read.*/tsc: known/p"
		modprobe vmw_balloon && sleep 2 && rmmod vmw_balloon && echo "balloon: came and went"
		echo "checkvm: $(vmware-checkvm)"
		dmesg | grep -c -E "Oops|BUG:|WARNING: CPU" | sed "s/^/oopses: /"'
	is "$(said type)" VMware "with hypervisor=vmware, Linux takes the machine for VMware's"
	is "$(said tsc)" known "it asks the port for the frequency of its clock"
	is "$(said balloon)" "came and went" "vmw_balloon, which finds no balloon, stays quietly away"
	like "$(said checkvm)" "version 6" "vmware-checkvm"
	is "$(said oopses)" 0 "no complaints"
	run lodge run --memory 384M --set backdoor.ports=off -- "$BUILD/guest/lodge-ioperm" "$BUILD/guest/vmports" probe
	is "$out" fault "with backdoor.ports=off nobody is there"
}

before=$(cat $parameter)
if let_everybody N; then
	check_nobody_may
fi
if let_everybody Y; then
	run lodge run --memory 512M "${only_ports[@]}" -- sh "$PWD/asks.sh"
	check_asks enable_vmware_backdoor
	check_orders
	check_kernel_drivers
fi
let_everybody "$before"
