/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vm.conf: what a VM is made of, as key=value groups that people read and edit by hand.
 *
 *	[machine]	uuid=UUID
 *	[cpu]		count=2  hypervisor=lodge|kvm|vmware
 *	[memory]	size=1G  mode=off|manual|auto  target=SIZE  min=SIZE  max=SIZE
 *	[boot]		kernel=FILE  initrd=FILE[,FILE...]  append=TEXT  on-reset=restart|stop
 *	[disk NAME]	file=PATH  read-only=no  direct=no  serial=TEXT
 *	[share NAME]	path=PATH  read-only=no  owner=user|exact|UID:GID
 *			file-mask=MODE  dir-mask=MODE
 *	[root]		path=PATH            the guest's root, read-only, for `lodge run`
 *	[fs TAG]	socket=PATH          a vhost-user-fs back end that somebody else runs
 *	[display]	heads=0..16  memory=64M      screens, and what their pictures may take
 *	[serial]	backend=BACKEND
 *	[port NAME]	backend=BACKEND      a virtio-console port; NAME "console" is hvc0
 *	[device]	balloon=yes  clock=yes  rng=yes  i8042=yes  legacy=yes  shares=no
 *			dax-size=SIZE  dax-files=auto|all
 *			shares-cache=auto|never  shares-locks=guest|host
 *	[backdoor]	device=yes  port=yes  ports=on    the doors of the guest's tools
 *	[tools]		heartbeat=SECONDS  power-scripts=yes  broadcast-ip=yes
 *			time-sync=no  time-sync-period=SECONDS
 *
 * BACKEND is none, stdio, fd:IN[,OUT] (-1: none), pty, file:PATH, socket:PATH (we listen),
 * run-status (the port on which the guest's init reports an exit status) or tools (the backdoor:
 * the port org.lodge.tools.0, which is there unless [backdoor] port=no).
 *
 * Relative paths are relative to the VM's folder; the config holds absolute ones, also within
 * BACKEND. Sizes take K, M, G, T (powers of 1024) and a decimal point. What is not said: 1 CPU, 1G,
 * serial none, no heads, all of [device] and [backdoor], dax-size=256M, on-reset=restart; the
 *device for shares where there is a [share]. [boot] kernel must be there.
 */
#ifndef LODGE_VMM_VMCONF_H
#define LODGE_VMM_VMCONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_CPUS_MAX	   64
#define VM_NAME_MAX	   64 /* bytes: it is part of socket paths */
#define VM_MEMORY_MIN	   (32ull << 20)
#define VM_SHARE_NAME_MAX  255 /* bytes: NAME_MAX of <linux/limits.h> */
#define VM_DISK_SERIAL_MAX 20 /* VIRTIO_BLK_ID_BYTES of <linux/virtio_blk.h> */
#define VM_FS_TAG_MAX	   36 /* bytes: virtio 1.2 section 5.11.4 */
#define VM_CONF_BYTES_MAX  (256 << 10)
/* All devices together must fit the root bus's 31 slots. */
#define VM_DISKS_MAX	16
#define VM_FS_MAX	4
#define VM_PORTS_MAX	30 /* of one virtio-console device, beside its console */
#define VM_DAX_SIZE	(256ull << 20) /* unless it is said */
#define VM_DAX_SIZE_MIN (2ull << 20)
#define VM_DAX_SIZE_MAX (64ull << 30)
#define VM_SHARES_MAX	256 /* what one file server exports */
#define VM_HEADS_MAX	16 /* LODGE_DISPLAY_HEADS_MAX */
/* Of BAR 0, which has a power of two. */
#define VM_DISPLAY_MEMORY     (64ull << 20) /* unless it is said */
#define VM_DISPLAY_MEMORY_MIN (16ull << 20)
#define VM_DISPLAY_MEMORY_MAX (256ull << 20)

enum vm_hypervisor {
	VM_HYPERVISOR_LODGE = 1,
	VM_HYPERVISOR_KVM = 2,
	VM_HYPERVISOR_VMWARE = 3,
};

/* Who decides how much of its memory the guest has (memory-policy/). */
enum vm_memory_mode {
	VM_MEMORY_OFF = 1, /* it has all */
	VM_MEMORY_MANUAL = 2, /* vm.conf's target, or lodge set's */
	VM_MEMORY_AUTO = 3, /* between min and max, as the guest and the host need it */
};

struct vm_disk {
	char *name;
	char *file;
	char *serial; /* at most 20 bytes (VIRTIO_BLK_ID_BYTES), or NULL */
	bool read_only;
	bool direct; /* O_DIRECT */
};

enum vm_owner {
	VM_OWNER_USER, /* the server's files are the guest's first user's */
	VM_OWNER_EXACT, /* ids, modes and device nodes as the guest sets them */
	VM_OWNER_IDS, /* as VM_OWNER_USER, with these ids */
};

/* The uid and gid that distributions give to the first user of a machine. */
#define VM_GUEST_USER_ID 1000

/* How a share is served. */
struct vm_share_rules {
	bool read_only;
	struct {
		enum vm_owner kind;
		uint32_t uid, gid; /* VM_OWNER_IDS */
	} owner;
	unsigned int file_mask, dir_mask; /* permission bits that the guest does not see */
};

struct vm_share {
	char *name;
	char *path;
	struct vm_share_rules rules;
};

struct vm_fs {
	char *tag;
	char *socket;
};

struct vm_port {
	char *name;
	char *backend;
};

struct vm_uuid {
	bool given;
	uint8_t bytes[16]; /* in the order in which it is written */
};

struct vm_config {
	char *dir; /* absolute path of the VM's folder */
	char *name; /* its last component unless given */
	struct vm_uuid uuid; /* not given: that of host and folder, vm_uuid_of() */

	unsigned int cpus;
	enum vm_hypervisor hypervisor;
	uint64_t memory; /* bytes */
	enum vm_memory_mode memory_mode;
	uint64_t memory_target, memory_min, memory_max; /* bytes; 0: not said */

	char *kernel; /* never NULL */
	char **initrds; /* NULL-terminated; loaded one behind the other */
	char *append; /* never NULL */
	bool stop_on_reset;

	struct vm_disk *disks;
	size_t n_disks;
	struct vm_share *shares;
	size_t n_shares;
	char *root; /* or NULL */
	struct vm_fs *fs;
	size_t n_fs;
	char *serial; /* backend, never NULL */
	struct vm_port *ports;
	size_t n_ports;
	bool balloon, clock, rng, i8042;
	bool legacy; /* the PC's old hardware, the real-time clock and i8042 among it */
	bool backdoor_device, backdoor_port, backdoor_ports; /* doors: virtio, virtio-serial, I/O */
	unsigned int tools_heartbeat; /* seconds between two pings; 0: none */
	bool tools_scripts, tools_broadcast_ip, tools_synctime; /* options of the guest's tools */
	unsigned int tools_synctime_period; /* seconds */
	uint64_t dax_size; /* bytes of the shares' window for mapped files; 0: none */
	bool dax_all; /* large files of every file system go there */
	unsigned int heads; /* screens; 0: the VM has no display */
	uint64_t display_memory; /* bytes that all pictures may take */
	bool shares_device; /* also where there are no shares: they may come while the VM runs */
	bool shares_strict; /* the guest keeps nothing of them without asking */
	bool shares_host_locks; /* locks hold against the host's programs, and other VMs' */
};

/*
 * Reads and checks @dir/vm.conf. On an error *ret_message is one line that names file, line, key
 * and remedy, for the caller to print and g_free(). The config is the caller's: vm_config_free().
 */
int vm_config_load(const char *dir, struct vm_config **ret_config, char **ret_message);
/* The same from memory, for tests and the fuzzer; @path is what messages call it. */
int vm_config_parse(const char *dir, const char *path, const char *text, size_t len,
		    struct vm_config **ret_config, char **ret_message);
void vm_config_free(struct vm_config *config);

/*
 * The text of a vm.conf with "GROUP.KEY" or "GROUP.NAME.KEY" ("memory.size", "disk.data.file") set
 * to @value, or removed where @value is NULL ("disk.data" is then the whole group); comments stay.
 * The outcome is checked as vm_config_load() does. *ret_text: g_free().
 */
int vm_config_change(const char *dir, const char *path, const char *text, size_t len,
		     const char *word, const char *value, char **ret_text, size_t *ret_len,
		     char **ret_message);

/*
 * The text of a vm.conf with the group of @share added at its end, or with the group of the share
 * @name taken out; everything else stays as it is, byte by byte. The outcome is checked as
 * vm_config_load() does. -EEXIST, -ENOENT, -EINVAL with *ret_message (g_free()); *ret_text
 * g_free().
 */
int vm_config_add_share(const char *dir, const char *path, const char *text,
			const struct vm_share *share, char **ret_text, char **ret_message);
int vm_config_remove_share(const char *dir, const char *path, const char *text, const char *name,
			   char **ret_text, char **ret_message);

/* "user", "exact", "UID:GID"; permission bits to base 8, at most 0777: -EINVAL for anything else.
 */
int vm_parse_owner(const char *text, struct vm_share_rules *rules);
int vm_parse_mask(const char *text, unsigned int *ret_mask);
/* As vm_parse_owner() takes it. g_free(). */
char *vm_format_owner(const struct vm_share_rules *rules);

/* "512M", "1.5G", "4096K", plain bytes: -EINVAL for anything else, -ERANGE beyond 2^63. */
int vm_parse_size(const char *text, uint64_t *ret_bytes);
/*
 * Reads the size of a guest's memory: at least VM_MEMORY_MIN and whole MiB. Else -EINVAL, and
 * *ret_problem (g_free()) says what is wrong and what would do.
 */
int vm_check_memory(const char *text, uint64_t *ret_bytes, char **ret_problem);
/* "off", "manual", "auto": -EINVAL for anything else. */
int vm_parse_memory_mode(const char *text, enum vm_memory_mode *ret_mode);
const char *vm_memory_mode_name(enum vm_memory_mode mode);
/* 0 if @name may name a VM (letters, digits, -, _, .; no leading dot or dash); else -EINVAL. */
int vm_check_name(const char *name);
/* 0 if @name may name a share: UTF-8, 1 to 255 bytes, no '/', '[', ']' or control character, not
 * "." or "..". */
int vm_check_share_name(const char *name);

#endif
