#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whose files are, for an ordinary user of a host whose file system has attributes: exact owners, modes, devices and
# fifos on a file system where that user can make none of them, the first user's, and other ids.
# TIMEOUT: 240
# NEEDS: lodge mkfs.ext4 losetup
# shellcheck source=tests/vm/lib.sh
. "$LIB"

[ "$(id -u)" = 0 ] || skip "mounting a file system takes root"
truncate -s 64M image
mkfs.ext4 -q -F image
mkdir fs
modprobe -a loop ext4 2>/dev/null
mount -o loop image fs || skip "no loop device here"
trap 'code=$?; umount -l fs; end_scenario $code' EXIT
mkdir fs/exact fs/user
echo ids >fs/user/file
chown -R 65534:65534 fs "$WORK" "$HOME" "$XDG_RUNTIME_DIR"
chmod 755 "$WORK" "$(dirname "$WORK")"

lodge() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$BUILD/bin/lodge" "$@"
}

inside() {
	timeout -k 5 60 setpriv --reuid 65534 --regid 65534 --clear-groups "$BUILD/bin/lodge" exec own -- sh -c "$1" 2>&1 </dev/null
}

lodge run --name own --memory 384M -- sleep 300 >own.log 2>&1 </dev/null &
vm=$!
ok "a VM of an ordinary user starts" wait_for 60 lodge info own
ok "and has its tools" lodge wait --timeout 100 own tools
ok "an exact share" lodge share add own "exact=$PWD/fs/exact" --owner exact
inside 'umask 022; cd /mnt/lodge/exact || exit
echo text >f; chown 12:34 f; chmod 4750 f
mknod c c 1 3; mkfifo p; echo through >p & cat /mnt/lodge/exact/p >through; wait
mkdir d; chgrp 55 d; chmod 2775 d; touch d/in; mkdir d/below
ln -s f l; chown -h 7 l || echo no lchown
chmod 000 d/in; cat d/in || echo locked out
cp -a f copy; mkdir tree; tar -C / -cf - etc/passwd dev/null | tar -C tree -xpf -; mv tree/dev/null tree/etc/null; ln f hard' >setup.log
is "$(cat setup.log)" "" "all of it can be set"
look() {
	inside "cd /mnt/lodge/exact; stat -c '%n %u:%g %a %F %t:%T' f copy hard c p d d/in d/below tree/etc/passwd tree/etc/null; cat through f"
}
wanted='f 12:34 4750 regular file 0:0
copy 12:34 4750 regular file 0:0
hard 12:34 4750 regular file 0:0
c 0:0 644 character special file 1:3
p 0:0 644 fifo 0:0
d 0:55 2775 directory 0:0
d/in 0:55 0 regular empty file 0:0
d/below 0:55 2755 directory 0:0
tree/etc/passwd 0:0 644 regular file 0:0
tree/etc/null 0:0 666 character special file 1:3
through
text'
is "$(look)" "$wanted" "and is shown again"
is "$(cd fs/exact && stat -c '%n %u %a %F' f c p d | tr '\n' ' ')" \
	"f 65534 750 regular file c 65534 644 regular empty file p 65534 644 regular empty file d 65534 775 directory " \
	"the host has plain files of its user's"
is "$(inside "cd /mnt/lodge/exact; find . -type c | sort | tr '\n' ' '; ls -l c | cut -c 1")" "./c ./tree/etc/null c" "listings know devices"
like "$(inside 'python3 -c "import os; print(os.listxattr(\"/mnt/lodge/exact/f\"))"')" '^\[\]$' "how it is kept is hidden"
ok "the share goes" lodge share remove own exact
ok "and comes again" lodge share add own "exact=$PWD/fs/exact" --owner exact
is "$(look)" "$wanted" "with all of it"
ok "the first user's" lodge share add own "user=$PWD/fs/user"
like "$(inside 'stat -c %u:%g /mnt/lodge/user/file; chown 12 /mnt/lodge/user/file')" "^1000:1000.*Operation not permitted" "who is the only one"
ok "somebody's" lodge share add own "ids=$PWD/fs/user" --owner 5:6
is "$(inside 'touch /mnt/lodge/ids/new; stat -c %u:%g /mnt/lodge/ids/file /mnt/lodge/ids/new' | tr '\n' ' ')" "5:6 5:6 " "with those ids"
is "$(stat -c %u fs/user/new)" 65534 "and here its user's"
# The host takes the permission away (T25 of the reliability tests), and gives it back.
chmod 000 fs/user
like "$(inside 'cd /mnt/lodge; ls ids; touch ids/more; ls')" "ids'?: Permission denied.*more'?: Permission denied.*exact" \
	"a folder that its user may not enter is refused, and the other shares are there"
chmod 755 fs/user
is "$(inside 'touch /mnt/lodge/ids/more; cat /mnt/lodge/ids/file')" ids "until it may be entered again"
lodge kill own
wait "$vm"
umount fs
trap 'end_scenario $?' EXIT
