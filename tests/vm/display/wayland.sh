# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For scenarios of Wayland compositors: a guest with udev and the in-box driver, or $module if that is set.

module=${module:-}
memory=${memory:-512M}
cat >begin.sh <<'END'
mount -t debugfs none /sys/kernel/debug
if [ $# = 0 ]; then modprobe virtio_gpu; else
	modprobe drm_shmem_helper
	modprobe drm_kms_helper
	insmod $1
fi
/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add
udevadm settle
mkdir -p -m 700 /run/wayland /run/user
chmod 755 /run/user
touch /mnt/lodge/job/there
exec sleep 100000
END
lodge run --name box --memory "$memory" --set display.heads=1 --share "job=$PWD" -- sh /mnt/lodge/job/begin.sh ${module:+"$module"} \
	>guest.out 2>&1 </dev/null &
vm=$!
ok "the guest is up" wait_for 120 test -e there
inside() { lodge exec box -- env PATH="$PATH" "$@"; }
fact() { lodge info --json box | perl -MJSON::PP -e 'local $/; print decode_json(<STDIN>)->{tools}{facts}{display}{$ARGV[0]} // "none"' "$1"; }
tells() { [ "$(fact "$1")" = "$2" ]; }
mode_sets() { lodge info --json box | sed -n 's/.*"mode_sets" : \([0-9]*\).*/\1/p' | head -n 1; }
# shows_card SIZE: every pixel
shows_card() { lodge screenshot box shot.png && [ "$(card-check shot.png 1)" = "$1" ]; }

# start_compositor NAME SIZE: has started in the background; waits for what it shows.
start_compositor() {
	ok "$2: $1 shows the card, every pixel" wait_for 150 shows_card "$2"
	ok "$2: it is told who sets the resolution" wait_for 10 tells program "$1"
	keep shot.png "$1-$(fact driver)-$2.png"
}

# follow SIZE: the window takes it.
follow() {
	local before
	before=$(mode_sets)
	run lodge resize --timeout 60 box "$1"
	# shellcheck disable=SC2154 # of lib.sh
	is "$status" 0 "$1: the guest follows"
	ok "$1: the card, every pixel" wait_for 60 shows_card "$1"
	is $(($(mode_sets) - before)) 1 "$1: by one mode set"
}

# The card of a size, as a program without a compositor draws it.
make_card() {
	lodge resize --no-wait box "$1"
	rm -f picture.out
	inside card-draw >picture.out 2>&1 </dev/null &
	local program=$!
	wait_for 20 grep -q "^1 $1" picture.out || fail "$1: the card is drawn" "$(cat picture.out)"
	lodge screenshot box card.png
	inside pkill -x card-draw
	wait $program
}

end_guest() {
	ok "the VM ends" lodge kill box
	wait "$vm" || true
	# shellcheck disable=SC2154 # of lib.sh
	[ "$failures" = 0 ] || sed 's/^/# /' guest.out ./*.log
}
