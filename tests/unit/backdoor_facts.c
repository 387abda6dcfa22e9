// SPDX-License-Identifier: GPL-2.0-or-later
// What a guest tells of itself: lodge.facts, SetGuestInfo with its XDR, SetGuestDiskInfo.
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/backdoor/tools.h"
#include "tests/unit/virtio_rig.h"
#include "tests/unit/unit.h"

static struct rig rig;
static struct device *device;
static struct backdoor *backdoor;
static struct rpc_session *ports;
static struct tools_facts *facts;

static int swallow(void *opaque, const struct frame *frame, const void *payload)
{
	(void)opaque;
	(void)frame;
	(void)payload;
	return 0;
}

static const struct rpc_session_ops mute = { .send = NULL }, ops = { .send = swallow };

static void setup(void)
{
	rig = (struct rig){ .config.backdoor_ports = true };
	rig_create(&rig);
	device = rig_add_device(&rig, &backdoor_type, 0);
	ck_assert_ptr_nonnull(device);
	backdoor = rig.machine.backdoor;
	ck_assert_int_eq(
		rpc_session_open(backdoor, RPC_DOOR_IOPORTS, RPC_USER, &mute, NULL, &ports), 0);
}

static void teardown(void)
{
	rpc_session_close(ports);
	rig_remove_device(device);
	rig_destroy(&rig);
	free(facts);
	facts = NULL;
}

static void tell(const char *message, size_t len, const char *want)
{
	struct rpc_reply reply;

	rpc_session_request(ports, message, len, &reply);
	ck_assert_uint_eq(reply.len, strlen(want));
	ck_assert_mem_eq(reply.bytes, want, reply.len);
	rpc_reply_free(&reply);
}

static void look(void)
{
	free(facts);
	facts = NULL;
	ck_assert_int_eq(tools_get_facts(backdoor, &facts), 0);
}

/* ---- lodge.facts ---- */

START_TEST(fields)
{
	static const char message[] =
		"lodge.facts part=system\0hostname=box\0os-id=debian\0os-name=Debian GNU/Linux\0"
		"kernel=6.1\0arch=x86_64\0boot-time=1700000000\0part=net\0"
		"nic=dummy0 02:00:00:00:00:01 up\0nic=eth1 52:54:00:00:00:02 up\0"
		"nic=eth0 52:54:00:00:00:01 down\0"
		"addr=dummy0 10.9.9.9 24 static\0addr=eth1 fe80::1 64 link\0"
		"addr=eth1 2001:db8::2 64 random\0addr=eth1 10.0.2.15 24 dhcp\0addr=none 1.2.3.4 8 -\0"
		"route=eth1 0.0.0.0 0 10.0.2.2 100\0route=eth1 10.0.2.0 24 - 0\0"
		"server=10.0.2.3\0search=example.org\0"
		"part=disks\0disk=/dev/vda1 ext4 1000 400 /\0disk=share virtiofs 7 5 /mnt/a b\0"
		"part=load\0load=0.10 1.25 3\0memory=1000 500\0processes=77\0"
		"part=users\0user=ann pts/0 1700000001 10.0.2.2\0user=bob tty1 - -\0"
		"part=shares\0mount=/mnt/lodge\0by=virtiofs\0"
		"part=display\0driver=virtio_gpu\0owner=program\0program=weston\0"
		"part=clock\0clock-owner=lodged\0clock-by=lodge_clock\0ahead=1500\0steps=2";

	tell(message, sizeof(message), "1 ");
	look();
	ck_assert_str_eq(facts->hostname, "box");
	ck_assert_str_eq(facts->os_name, "Debian GNU/Linux");
	ck_assert_uint_eq(facts->boot_time, 1700000000);
	for (int i = 0; i < FACTS_PARTS; i++)
		ck_assert_uint_gt(facts->told[i], 0);
	/* The one with the default route, then the rest in the guest's order. */
	ck_assert_uint_eq(facts->n_nics, 3);
	ck_assert_str_eq(facts->nics[0].name, "eth1");
	ck_assert_str_eq(facts->nics[1].name, "dummy0");
	ck_assert_str_eq(facts->nics[2].name, "eth0");
	ck_assert_uint_eq(facts->nics[0].n_addresses, 3);
	ck_assert_str_eq(facts->nics[0].addresses[0].text, "10.0.2.15");
	ck_assert_str_eq(facts->nics[0].addresses[0].origin, "dhcp");
	ck_assert_uint_eq(facts->n_routes, 2);
	ck_assert_uint_eq(facts->routes[0].nic, 0);
	ck_assert_str_eq(facts->routes[1].gateway, "");
	ck_assert_str_eq(facts_best_address(facts), "10.0.2.15");
	ck_assert_str_eq(facts->servers[0], "10.0.2.3");
	ck_assert_str_eq(facts->search[0], "example.org");
	ck_assert_uint_eq(facts->n_disks, 2);
	ck_assert_str_eq(facts->disks[1].mount, "/mnt/a b");
	ck_assert_uint_eq(facts->disks[0].free, 400);
	ck_assert(facts->load[1] > 1.24 && facts->load[1] < 1.26);
	ck_assert_uint_eq(facts->memory_available, 500);
	ck_assert_uint_eq(facts->processes, 77);
	ck_assert_uint_eq(facts->n_users, 2);
	ck_assert_str_eq(facts->users[0].from, "10.0.2.2");
	ck_assert_str_eq(facts->users[1].from, "");
	ck_assert_str_eq(facts->shares_mount, "/mnt/lodge");
	ck_assert_str_eq(facts->shares_by, "virtiofs");
	ck_assert_str_eq(facts->shares_why, "");
	ck_assert_str_eq(facts->display_driver, "virtio_gpu");
	ck_assert_str_eq(facts->display_owner, "program");
	ck_assert_str_eq(facts->display_program, "weston");
	ck_assert_str_eq(facts->display_why, "");
	ck_assert_str_eq(facts->clock_owner, "lodged");
	ck_assert_str_eq(facts->clock_by, "lodge_clock");
	ck_assert(facts->clock_known);
	ck_assert_int_eq(facts->clock_offset, -1500);
	ck_assert_uint_eq(facts->clock_steps, 2);
}
END_TEST

START_TEST(parts_replace_themselves)
{
	static const char first[] = "lodge.facts part=users\0user=a b 1 -\0part=disks\0"
				    "disk=d t 1 1 /\0hostname=ignored";
	static const char second[] = "lodge.facts part=users";
	static const char bad[] = "lodge.facts part=disks\0disk=d t x 1 /\0disk=d\0disk=\0"
				  "disk=e t 2 1 /2";

	ck_assert_int_lt(tools_get_facts(backdoor, &facts), 0);
	tell(first, sizeof(first), "1 ");
	tell(second, sizeof(second), "1 ");
	look();
	ck_assert_uint_eq(facts->n_users, 0);
	ck_assert_uint_eq(facts->n_disks, 1);
	ck_assert_str_eq(facts->hostname, "");
	tell(bad, sizeof(bad), "1 ");
	look();
	ck_assert_uint_eq(facts->n_disks, 1);
	ck_assert_str_eq(facts->disks[0].mount, "/2");
	tell("lodge.facts", 11, "0 no part named");
	tell("lodge.facts part=no\0", 20, "0 no part named");
	tell("lodge.facts part=net", 20, "0 malformed fields");
}
END_TEST

START_TEST(limits)
{
	char *message = malloc(64 << 10);
	size_t len = (size_t)sprintf(message, "lodge.facts part=net") + 1;

	for (int i = 0; i < 40; i++)
		len += (size_t)sprintf(message + len, "nic=eth%d - up", i) + 1;
	for (int i = 0; i < 200; i++)
		len += (size_t)sprintf(message + len, "addr=eth0 10.0.0.%d 24 -", i) + 1;
	for (int i = 0; i < 200; i++)
		len += (size_t)sprintf(message + len, "route=eth%d 10.0.0.%d 32 - 0", i, i) + 1;
	for (int i = 0; i < 40; i++)
		len += (size_t)sprintf(message + len, "server=10.0.0.%d", i) + 1;
	for (int i = 0; i < 40; i++)
		len += (size_t)sprintf(message + len, "search=d%d", i) + 1;
	tell(message, len, "1 ");
	look();
	ck_assert_uint_eq(facts->n_nics, FACTS_NICS_MAX);
	ck_assert_uint_eq(facts->nics[0].n_addresses, FACTS_ADDRESSES_MAX);
	ck_assert_uint_eq(facts->n_routes, FACTS_ROUTES_MAX);
	ck_assert_uint_eq(facts->routes[99].nic, FACTS_NICS_MAX);
	ck_assert_uint_eq(facts->n_servers, FACTS_SERVERS_MAX);
	ck_assert_uint_eq(facts->n_search, FACTS_SEARCH_MAX);
	free(message);
}
END_TEST

START_TEST(text_is_cleaned)
{
	static const char message[] = "lodge.facts part=system\0hostname=a\x1b[31mb\nc\xc3\xa9\xff"
				      "\xc0\x80\xed\xa0\x80\xc2\x9b"
				      "d\0os-id=0123456789012345678901234567890123456789012345678"
				      "9012345678901\xc3\xa9";

	tell(message, sizeof(message), "1 ");
	look();
	ck_assert_str_eq(facts->hostname, "a[31mbc\xc3\xa9"
					  "d");
	/* Never in the middle of a character. */
	ck_assert_uint_eq(strlen(facts->os_id), 62);
}
END_TEST

/* ---- SetGuestInfo ---- */

static unsigned char info[65536];
static size_t info_len;

static void put_head(unsigned int type)
{
	info_len = (size_t)sprintf((char *)info, "SetGuestInfo  %u ", type);
}

static void put_u32(uint32_t value)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		info[info_len++] = (unsigned char)(value >> shift);
}

static void put_opaque(const void *bytes, uint32_t len)
{
	put_u32(len);
	memcpy(info + info_len, bytes, len);
	memset(info + info_len + len, 0, 3);
	info_len += (len + 3) & ~3u;
}

static void put_address(const unsigned char *bytes, uint32_t len)
{
	put_u32(len == 4 ? 1 : 2);
	put_opaque(bytes, len);
}

static void put_text(const char *text)
{
	put_opaque(text, (uint32_t)strlen(text));
}

static void put_nothing(unsigned int count)
{
	while (count-- > 0)
		put_u32(0);
}

static const unsigned char v4[4] = { 10, 0, 2, 15 }, gateway[4] = { 10, 0, 2, 2 }, any[4];
static const unsigned char v6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 9 };

static void put_v3(unsigned int type)
{
	put_head(type);
	put_u32(3);
	put_u32(1);
	put_u32(1); /* NICs */
	put_text("52:54:00:AB:CD:EF");
	put_u32(2); /* addresses */
	put_address(v6, 16);
	put_u32(64);
	put_nothing(2);
	put_address(v4, 4);
	put_u32(24);
	put_u32(1);
	put_u32(4); /* dhcp */
	put_u32(1);
	put_u32(1); /* preferred */
	put_nothing(4);
	put_u32(1); /* routes */
	put_address(any, 4);
	put_u32(0);
	put_u32(1);
	put_address(gateway, 4);
	put_u32(0); /* the first NIC */
	put_u32(4);
	put_u32(UINT32_MAX);
	put_u32(1); /* names */
	put_u32(1);
	put_text("box");
	put_u32(0);
	put_u32(1);
	put_address(gateway, 4);
	put_u32(1);
	put_text("example.org");
	put_u32(1); /* WINS */
	put_address(any, 4);
	put_address(any, 4);
	put_u32(1); /* DHCP */
	put_u32(1);
	put_text("lease {}");
	put_u32(0);
}

static void check_v3(void)
{
	look();
	ck_assert_uint_eq(facts->n_nics, 1);
	ck_assert_str_eq(facts->nics[0].mac, "52:54:00:ab:cd:ef");
	ck_assert_uint_eq(facts->nics[0].n_addresses, 2);
	ck_assert_str_eq(facts->nics[0].addresses[0].text, "10.0.2.15");
	ck_assert_str_eq(facts->nics[0].addresses[0].origin, "dhcp");
	ck_assert_uint_eq(facts->nics[0].addresses[0].prefix, 24);
	ck_assert_str_eq(facts->nics[0].addresses[1].text, "2001:db8::9");
	ck_assert_uint_eq(facts->n_routes, 1);
	ck_assert_str_eq(facts->routes[0].dest, "0.0.0.0");
	ck_assert_str_eq(facts->routes[0].gateway, "10.0.2.2");
	ck_assert_uint_eq(facts->routes[0].metric, 0);
	ck_assert_str_eq(facts->servers[0], "10.0.2.2");
	ck_assert_str_eq(facts->search[0], "example.org");
}

START_TEST(nic_info_3)
{
	size_t len;

	put_v3(10);
	tell((char *)info, info_len, "1 ");
	check_v3();
	put_v3(9);
	tell((char *)info, info_len, "1 ");
	/* Cut anywhere: not taken, and what was known stays. Its own NUL may come behind it. */
	len = info_len;
	for (size_t cut = strlen("SetGuestInfo  9 ") + 1; cut < len; cut++)
		tell((char *)info, cut, "0 not taken");
	check_v3();
}
END_TEST

START_TEST(nic_info_3_lies)
{
	const size_t head = strlen("SetGuestInfo  10 ");

	/* Each word of it set to something large, or one more. */
	put_v3(10);
	for (size_t at = head; at + 4 <= info_len; at += 4) {
		unsigned char saved[4];
		struct rpc_reply reply;

		memcpy(saved, info + at, 4);
		memset(info + at, 0xff, 4);
		rpc_session_request(ports, info, info_len, &reply);
		rpc_reply_free(&reply);
		memcpy(info + at, saved, 4);
		info[at + 3]++;
		rpc_session_request(ports, info, info_len, &reply);
		rpc_reply_free(&reply);
		memcpy(info + at, saved, 4);
	}
	put_head(10);
	put_u32(3);
	put_u32(1);
	put_u32(17);
	tell((char *)info, info_len, "0 not taken");
	put_head(10);
	put_u32(4);
	put_u32(1);
	tell((char *)info, info_len, "0 not taken");
}
END_TEST

static void put_chars(const char *text, size_t count)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < count; i++)
		put_u32(i < len ? (unsigned char)text[i] : 0);
}

START_TEST(nic_info_2)
{
	put_head(9);
	put_u32(2);
	put_u32(1);
	put_u32(1);
	put_chars("00:0C:29:00:00:01", 18);
	put_u32(2);
	put_u32(0);
	put_u32(1);
	put_chars("192.168.1.2", 64);
	put_chars("0xffffff00", 64);
	put_u32(1);
	put_u32(0);
	put_chars("fe80::1", 64);
	put_chars("64", 64);
	tell((char *)info, info_len, "1 ");
	look();
	ck_assert_str_eq(facts->nics[0].mac, "00:0c:29:00:00:01");
	ck_assert_uint_eq(facts->nics[0].addresses[0].prefix, 24);
	ck_assert_str_eq(facts->nics[0].addresses[0].origin, "dhcp");
	ck_assert_uint_eq(facts->nics[0].addresses[1].prefix, 64);
	ck_assert_str_eq(facts_best_address(facts), "192.168.1.2");
}
END_TEST

START_TEST(other_types)
{
	static const char details[] = "architecture='X86' bitness='64' kernelVersion='6.1.0-28' "
				      "prettyName='Debian 12' distroVersion='12' open='";

	tell("SetGuestInfo  1 box\0", 20, "1 ");
	tell("SetGuestInfo  5 Debian GNU/Linux 12 (64-bit)", 44, "1 ");
	tell("SetGuestInfo  6 debian12-64", 27, "1 ");
	tell("SetGuestInfo  7 100", 19, "1 ");
	tell("SetGuestInfo  4 20735119", 24, "1 ");
	tell("SetGuestInfo  8 \1\2\3", 19, "1 ");
	look();
	ck_assert_str_eq(facts->hostname, "box");
	ck_assert_str_eq(facts->os_id, "debian12-64");
	ck_assert_uint_gt(facts->boot_time, 1000000000);
	put_head(11);
	memset(info + info_len, 0, 648);
	info_len += 648;
	memcpy(info + info_len, details, sizeof(details) - 1);
	info_len += sizeof(details) - 1;
	tell((char *)info, info_len, "1 ");
	look();
	ck_assert_str_eq(facts->os_name, "Debian 12");
	ck_assert_str_eq(facts->kernel, "6.1.0-28");
	put_head(11);
	info_len += 645;
	tell((char *)info, info_len, "0 not taken");
	tell("SetGuestInfo  2 \1", 17, "0 not taken");
	tell("SetGuestInfo  99 x", 18, "0 not taken");
	tell("SetGuestInfo", 12, "0 malformed");
	tell("SetGuestInfo  x", 15, "0 malformed");
	tell("SetGuestInfo  1234 x", 20, "0 malformed");
}
END_TEST

START_TEST(disk_info)
{
	static const char good[] =
		"SetGuestDiskInfo {\"version\":\"1\", \"disks\": [{\"name\":\"Lw==\",\"free\":\"5\","
		"\"size\":\"10\",\"fstype\":\"ext4\",\"devices\":[\"scsi0:0\",{\"a\":[1]}]},"
		"{\"name\":\"L2hvbWU=\",\"size\":\"20\",\"x\":7}]}";
	static const char *const bad[] = {
		"SetGuestDiskInfo ",
		"SetGuestDiskInfo {",
		"SetGuestDiskInfo []",
		"SetGuestDiskInfo {\"disks\":{}}",
		"SetGuestDiskInfo {\"disks\":[{\"name\":\"Lw==\"]}",
		"SetGuestDiskInfo {\"disks\":[{\"name\":\"L\\",
		"SetGuestDiskInfo {\"disks\":[{\"name\" \"Lw==\"}]}",
		"SetGuestDiskInfo {\"a\":}",
		"SetGuestDiskInfo {\"a\":[[[[}",
	};
	char *deep = malloc(200000);

	tell(good, sizeof(good) - 1, "1 ");
	look();
	ck_assert_uint_eq(facts->n_disks, 2);
	ck_assert_str_eq(facts->disks[0].mount, "/");
	ck_assert_str_eq(facts->disks[0].fstype, "ext4");
	ck_assert_uint_eq(facts->disks[0].size, 10);
	ck_assert_str_eq(facts->disks[1].mount, "/home");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		tell(bad[i], strlen(bad[i]), "0 malformed");
	/* As deep as it will, nothing recurses. */
	memset(deep, '[', 200000);
	memcpy(deep, "SetGuestDiskInfo {\"a\":", 22);
	tell(deep, 200000, "0 malformed");
	look();
	ck_assert_uint_eq(facts->n_disks, 2);
	free(deep);
}
END_TEST

START_TEST(ports_do_not_count_beside_root)
{
	static const char hello[] = "lodge.hello app=toolbox\0commands=1";
	struct rpc_session *root;
	struct rpc_reply reply;
	struct tools_status status;

	ck_assert_int_eq(rpc_session_open(backdoor, RPC_DOOR_VIRTIO, RPC_ROOT, &ops, NULL, &root),
			 0);
	rpc_session_request(root, hello, sizeof(hello), &reply);
	rpc_reply_free(&reply);
	for (uint32_t tag = 1; tag < 20; tag++) {
		rig_settle(rig.machine.loop);
		rpc_session_result(root, tag, "OK ", 3);
	}
	tools_get_status(backdoor, &status);
	ck_assert(status.up);
	tell("SetGuestInfo  1 liar", 20, "0 Permission denied");
	rpc_session_close(root);
	tell("SetGuestInfo  1 box", 19, "1 ");
	/* A guest that starts anew has told nothing. */
	device->type->reset(device);
	ck_assert_int_lt(tools_get_facts(backdoor, &facts), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backdoor_facts");
	TCase *tcase = tcase_create("facts");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, fields);
	tcase_add_test(tcase, parts_replace_themselves);
	tcase_add_test(tcase, limits);
	tcase_add_test(tcase, text_is_cleaned);
	tcase_add_test(tcase, nic_info_3);
	tcase_add_test(tcase, nic_info_3_lies);
	tcase_add_test(tcase, nic_info_2);
	tcase_add_test(tcase, other_types);
	tcase_add_test(tcase, disk_info);
	tcase_add_test(tcase, ports_do_not_count_beside_root);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
