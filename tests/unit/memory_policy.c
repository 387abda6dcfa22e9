// SPDX-License-Identifier: GPL-2.0-or-later
// The memory policy: its rule on simulated guests and hosts, the file that monitors share, readers.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/memory-policy/host.h"
#include "host-vmm/memory-policy/policy.h"
#include "host-vmm/memory-policy/table.h"
#include "protocol/lib/pressure.h"
#include "tests/unit/unit.h"

#define MIB    (1ull << 20)
#define GIB    (1ull << 30)
#define VMS    4
#define SIZE   (2 * GIB)
#define TOTAL  (6 * GIB) /* of the host: guests of 8 GiB do not fit */
#define OTHERS (512 * MIB) /* that the host's own programs have */

/* Guests that fill what they have with caches, on a host that has no swap. */
struct sim {
	uint64_t now_ms;
	struct vm {
		struct memory_limits limits;
		struct memory_policy policy;
		uint64_t used; /* by its programs; what is more is missing */
		uint64_t given, missing;
	} vms[VMS];
	uint64_t host_least; /* the least that the host ever had */
};

static void sim_create(struct sim *sim)
{
	*sim = (struct sim){ .now_ms = 1000, .host_least = TOTAL };
	for (unsigned int i = 0; i < VMS; i++) {
		sim->vms[i].limits = memory_limits_of(VM_MEMORY_AUTO, SIZE, 0, 0, 0);
		sim->vms[i].used = 256 * MIB;
		/* As if they had come one after the other. */
		sim->vms[i].given = 3 * SIZE / 4;
		sim->vms[i].policy.target = sim->vms[i].given;
	}
}

static uint64_t host_available(const struct sim *sim)
{
	uint64_t taken = OTHERS;

	for (unsigned int i = 0; i < VMS; i++)
		taken += SIZE - sim->vms[i].given;
	return taken < TOTAL ? TOTAL - taken : 0;
}

static struct memory_share sum_of_others(const struct sim *sim, unsigned int me)
{
	struct memory_share sum = { 0 };

	for (unsigned int i = 0; i < VMS; i++) {
		sum.spare += i == me ? 0 : sim->vms[i].policy.share.spare;
		sum.need += i == me ? 0 : sim->vms[i].policy.share.need;
	}
	return sum;
}

static void step_vm(struct sim *sim, unsigned int me)
{
	struct vm *vm = &sim->vms[me];
	struct memory_share others = sum_of_others(sim, me);
	struct memory_host host = { .total = TOTAL, .available = host_available(sim) };
	uint64_t has = SIZE - vm->given, moved;
	struct memory_guest guest = { .there = true, .given = vm->given };

	vm->missing = vm->used > has ? vm->used - has : 0;
	guest.available = vm->missing ? 0 : has - vm->used;
	guest.stall = vm->missing ? 500 : 0;
	(void)memory_policy_step(&vm->policy, &vm->limits, &guest, &host, &others, sim->now_ms);
	ck_assert_uint_le(vm->policy.target, SIZE - vm->limits.min);
	/* A guest gives and takes half a GiB in a second, and not what its programs use. */
	moved = vm->policy.target > vm->given ? vm->policy.target - vm->given
					      : vm->given - vm->policy.target;
	moved = moved > 512 * MIB ? 512 * MIB : moved;
	if (vm->policy.target > vm->given)
		vm->given += moved < guest.available ? moved : guest.available;
	else
		vm->given -= moved;
}

static void run(struct sim *sim, unsigned int seconds)
{
	while (seconds-- > 0) {
		sim->now_ms += 1000;
		for (unsigned int i = 0; i < VMS; i++)
			step_vm(sim, i);
		if (host_available(sim) < sim->host_least)
			sim->host_least = host_available(sim);
	}
}

/* Twice more memory is promised than there is; each guest in turn needs most of its own. */
START_TEST(load_swings)
{
	struct sim sim;

	sim_create(&sim);
	run(&sim, 120);
	for (unsigned int round = 0; round < 2 * VMS; round++) {
		for (unsigned int i = 0; i < VMS; i++)
			sim.vms[i].used = i == round % VMS ? 3 * SIZE / 4 : 256 * MIB;
		run(&sim, 10);
		ck_assert_uint_eq(sim.vms[round % VMS].missing, 0);
		run(&sim, 50);
	}
	ck_assert_uint_gt(sim.host_least, 0);
}
END_TEST

START_TEST(settles)
{
	uint64_t given[VMS];
	struct sim sim;

	sim_create(&sim);
	run(&sim, 300);
	for (unsigned int i = 0; i < VMS; i++)
		given[i] = sim.vms[i].given;
	/* Between the two lines nothing moves. */
	run(&sim, 60);
	for (unsigned int i = 0; i < VMS; i++)
		ck_assert_uint_eq(given[i], sim.vms[i].given);
	ck_assert_uint_ge(host_available(&sim), memory_host_reserve(TOTAL));
}
END_TEST

/* One step, from a given state. */
struct scene {
	struct memory_limits limits;
	struct memory_policy policy;
	struct memory_guest guest;
	struct memory_host host;
	struct memory_share others;
};

static struct scene calm(void)
{
	return (struct scene){
		.limits = memory_limits_of(VM_MEMORY_AUTO, SIZE, 0, 0, 0),
		.policy = { .target = GIB, .at_ms = 1000 },
		.guest = { .there = true, .given = GIB, .available = 512 * MIB },
		.host = { .total = 16 * GIB, .available = 2 * GIB },
	};
}

static uint64_t step(struct scene *scene)
{
	return memory_policy_step(&scene->policy, &scene->limits, &scene->guest, &scene->host,
				  &scene->others, 2000);
}

START_TEST(modes)
{
	struct scene scene = calm();

	scene.limits = memory_limits_of(VM_MEMORY_OFF, SIZE, 0, 0, 0);
	ck_assert_uint_eq(step(&scene), 0);
	scene.limits = memory_limits_of(VM_MEMORY_MANUAL, SIZE, 0, 0, 1536 * MIB);
	ck_assert_uint_eq(step(&scene), 512 * MIB);
	/* Also of a guest that tells nothing, and whatever the host has. */
	scene.guest.there = false;
	scene.host.available = 0;
	ck_assert_uint_eq(step(&scene), 512 * MIB);
	/* More than it has is all of it. */
	scene.limits = memory_limits_of(VM_MEMORY_MANUAL, SIZE, 0, 0, 2 * SIZE);
	ck_assert_uint_eq(step(&scene), 0);
	/* A maximum is asked for before the guest has told anything. */
	scene.limits = memory_limits_of(VM_MEMORY_AUTO, SIZE, 0, GIB, 0);
	scene.policy.target = 0;
	ck_assert_uint_eq(step(&scene), SIZE - GIB);
}
END_TEST

START_TEST(gives_while_the_host_is_short)
{
	struct scene scene = calm();

	ck_assert_uint_eq(step(&scene), GIB);
	scene = calm();
	scene.host.available = 256 * MIB;
	/* No more in a second than an eighth of its size, and not into its cushion. */
	ck_assert_uint_gt(step(&scene), GIB);
	ck_assert_uint_le(scene.policy.target, GIB + SIZE / 8);
	ck_assert_uint_le(scene.policy.target, GIB + 256 * MIB);
	/* With others who can spare as much, half of it. */
	scene = calm();
	scene.host.available = memory_host_reserve(scene.host.total) - 100 * MIB;
	scene.others.spare = 256 * MIB;
	ck_assert_uint_gt(step(&scene), GIB);
	ck_assert_uint_lt(scene.policy.target, GIB + 200 * MIB);
	/* Another VM's need is the host's. */
	scene = calm();
	scene.others.need = 64 * MIB;
	ck_assert_uint_gt(step(&scene), GIB);
	/* So is the host's own stall. */
	scene = calm();
	scene.host.stall = 400;
	ck_assert_uint_gt(step(&scene), GIB);
	/* A guest with nothing to spare gives nothing, nor does one that is silent. */
	scene = calm();
	scene.host.available = 0;
	scene.guest.available = memory_guest_cushion(SIZE);
	ck_assert_uint_eq(step(&scene), GIB);
	scene = calm();
	scene.host.available = 0;
	scene.guest.there = false;
	ck_assert_uint_eq(step(&scene), GIB);
	/* Never below its minimum. */
	scene = calm();
	scene.host.available = 0;
	scene.guest.given = scene.policy.target = 3 * SIZE / 4;
	scene.guest.available = SIZE / 4;
	ck_assert_uint_eq(step(&scene), 3 * SIZE / 4);
}
END_TEST

START_TEST(gets_back)
{
	struct scene scene = calm();
	uint64_t target;

	/* Slowly, where the host has plenty. */
	scene.host.available = 8 * GIB;
	target = step(&scene);
	ck_assert_uint_lt(target, GIB);
	ck_assert_uint_ge(target, GIB - SIZE / 8);
	/* At once, where it stalls or has nothing left. */
	scene = calm();
	scene.guest.stall = 200;
	scene.guest.available = 10 * MIB;
	ck_assert_uint_le(step(&scene), GIB - SIZE / 8);
	scene = calm();
	scene.guest.available = 10 * MIB;
	ck_assert_uint_le(step(&scene), GIB - SIZE / 8);
	/* And keeps it: the host's shortage is for others until the time is over. */
	scene.guest.available = 512 * MIB;
	scene.guest.given = scene.policy.target;
	scene.host.available = 256 * MIB;
	target = scene.policy.target;
	ck_assert_uint_le(step(&scene), target);
	ck_assert_uint_eq(scene.policy.share.spare, 0);
	/* Where the host has none, the others hear of it. */
	scene = calm();
	scene.guest.available = 10 * MIB;
	scene.host.available = 16 * MIB;
	ck_assert_uint_eq(step(&scene), GIB);
	ck_assert_uint_gt(scene.policy.share.need, 100 * MIB);
}
END_TEST

START_TEST(what_makes_no_sense)
{
	struct memory_limits limits = memory_limits_of(VM_MEMORY_AUTO, SIZE, 3 * SIZE, GIB, 1);
	struct scene scene = calm();

	ck_assert_uint_eq(limits.max, GIB);
	ck_assert_uint_eq(limits.min, GIB);
	ck_assert_uint_eq(limits.want, VM_MEMORY_MIN);
	/* A guest that lies, a host of nothing, others that lie: the limits hold. */
	scene.guest = (struct memory_guest){ true, UINT64_MAX, UINT64_MAX, 1000 };
	ck_assert_uint_le(step(&scene), SIZE - scene.limits.min);
	scene = calm();
	scene.guest.available = UINT64_MAX;
	scene.host.available = 0;
	scene.others = (struct memory_share){ MEMORY_TABLE_VALUE_MAX * MEMORY_TABLE_ROWS,
					      MEMORY_TABLE_VALUE_MAX * MEMORY_TABLE_ROWS };
	ck_assert_uint_le(step(&scene), SIZE - scene.limits.min);
	scene = calm();
	scene.host.total = 0;
	ck_assert_uint_eq(step(&scene), GIB);
}
END_TEST

START_TEST(stalls)
{
	ck_assert_uint_eq(memory_stall(0, 0, 0), 0);
	ck_assert_uint_eq(memory_stall(1000, 101000, 1000), 100);
	ck_assert_uint_eq(memory_stall(0, UINT64_MAX, 1), 1000);
	ck_assert_uint_eq(memory_stall(5000, 10, 1000), 0);
	ck_assert_uint_eq(memory_stall_guess(100, 1000, MIB, SIZE), 200);
	ck_assert_uint_eq(memory_stall_guess(UINT64_MAX, 1000, MIB, SIZE), 1000);
	ck_assert_uint_eq(memory_stall_guess(100, 0, MIB, SIZE), 0);
	/* It reads files, with plenty left. */
	ck_assert_uint_eq(memory_stall_guess(1000, 1000, GIB, SIZE), 0);
}
END_TEST

/* ---- the file that monitors share ---- */

static char folder[] = "/tmp/lodge-memory-XXXXXX";
static char path[64];

static void make_folder(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/table", folder);
}

static void remove_folder(void)
{
	(void)unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(monitors_share)
{
	struct memory_table *tables[3];
	struct memory_share others;

	for (unsigned int i = 0; i < 3; i++)
		ck_assert_int_eq(memory_table_open(path, &tables[i]), 0);
	ck_assert_int_eq(memory_table_tell(tables[0], &(struct memory_share){ 100, 1 }, 5000), 0);
	ck_assert_int_eq(memory_table_tell(tables[1], &(struct memory_share){ 20, 2 }, 6000), 0);
	ck_assert_int_eq(memory_table_tell(tables[2], &(struct memory_share){ 3, 3 }, 7000), 0);
	memory_table_read(tables[1], 7000, &others);
	ck_assert_uint_eq(others.spare, 103);
	ck_assert_uint_eq(others.need, 4);
	/* Who has told nothing for a while does not count; nor does who has gone. */
	memory_table_read(tables[1], 5001 + MEMORY_TABLE_FRESH_MS, &others);
	ck_assert_uint_eq(others.spare, 3);
	memory_table_close(tables[2]);
	memory_table_read(tables[1], 7000, &others);
	ck_assert_uint_eq(others.spare, 100);
	/* A lie is dropped, and so is one from the future. */
	ck_assert_int_eq(memory_table_tell(tables[0],
					   &(struct memory_share){ MEMORY_TABLE_VALUE_MAX + 1, 0 },
					   7000),
			 0);
	memory_table_read(tables[1], 7000, &others);
	ck_assert_uint_eq(others.spare, 0);
	ck_assert_int_eq(memory_table_tell(tables[0], &(struct memory_share){ 1, 1 }, 9000), 0);
	memory_table_read(tables[1], 7000, &others);
	ck_assert_uint_eq(others.spare, 0);
	memory_table_close(tables[0]);
	memory_table_close(tables[1]);
}
END_TEST

START_TEST(rows_run_out)
{
	struct memory_table *tables[MEMORY_TABLE_ROWS], *more;

	for (unsigned int i = 0; i < MEMORY_TABLE_ROWS; i++)
		ck_assert_int_eq(memory_table_open(path, &tables[i]), 0);
	ck_assert_int_eq(memory_table_open(path, &more), -ENOSPC);
	memory_table_close(tables[7]);
	ck_assert_int_eq(memory_table_open(path, &tables[7]), 0);
	for (unsigned int i = 0; i < MEMORY_TABLE_ROWS; i++)
		memory_table_close(tables[i]);
}
END_TEST

START_TEST(files_of_others)
{
	struct memory_table *table;

	ck_assert_int_eq(symlink("/etc/hostname", path), 0);
	ck_assert_int_eq(memory_table_open(path, &table), -ELOOP);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(close(open(path, O_CREAT | O_RDWR, 0600)), 0);
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_int_eq(memory_table_open(path, &table), -EPERM);
}
END_TEST

/* ---- readers ---- */

START_TEST(reads_proc)
{
	static const char meminfo[] = "MemTotal:        8000 kB\nMemFree:  1 kB\n"
				      "MemAvailable:    4000 kB\nBuffers: 3 kB\n";
	struct pressure pressure = { 0 };
	uint64_t bytes = 0;

	ck_assert_int_eq(memory_host_parse(meminfo, "MemAvailable", &bytes), 0);
	ck_assert_uint_eq(bytes, 4000 << 10);
	ck_assert_int_eq(memory_host_parse(meminfo, "Mem", &bytes), -ENODATA);
	ck_assert_int_eq(memory_host_parse("", "MemFree", &bytes), -ENODATA);
	ck_assert_int_eq(memory_host_parse("MemFree:", "MemFree", &bytes), -ENODATA);
	ck_assert_int_eq(pressure_parse("some avg10=0.00 avg60=0.00 avg300=0.00 total=123\n"
					"full avg10=0.00 avg60=0.00 avg300=0.00 total=45\n",
					&pressure),
			 0);
	ck_assert_uint_eq(pressure.some_us, 123);
	ck_assert_uint_eq(pressure.full_us, 45);
	ck_assert_int_eq(pressure_parse("", &pressure), -EBADMSG);
	ck_assert_int_eq(pressure_parse("some avg10=0\nfull total=45\n", &pressure), -EBADMSG);
	ck_assert_int_eq(pressure_parse("some total=x\n", &pressure), -EBADMSG);
}
END_TEST

START_TEST(reads_this_host)
{
	struct memory_host_files files;
	struct memory_host host;

	memory_host_open(&files);
	memory_host_read(&files, 1000, &host);
	memory_host_read(&files, 2000, &host);
	ck_assert_uint_gt(host.total, host.available);
	ck_assert_uint_le(host.stall, 1000);
	memory_host_close(&files);
	memory_host_read(&files, 3000, &host);
	ck_assert_uint_eq(host.total, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory_policy");
	TCase *rule = tcase_create("rule"), *table = tcase_create("table");

	tcase_add_test(rule, modes);
	tcase_add_test(rule, gives_while_the_host_is_short);
	tcase_add_test(rule, gets_back);
	tcase_add_test(rule, settles);
	tcase_add_test(rule, load_swings);
	tcase_add_test(rule, what_makes_no_sense);
	tcase_add_test(rule, stalls);
	tcase_add_test(rule, reads_proc);
	tcase_add_test(rule, reads_this_host);
	tcase_add_checked_fixture(table, make_folder, remove_folder);
	tcase_add_test(table, monitors_share);
	tcase_add_test(table, rows_run_out);
	tcase_add_test(table, files_of_others);
	suite_add_tcase(suite, rule);
	suite_add_tcase(suite, table);
	return unit_run(suite);
}
