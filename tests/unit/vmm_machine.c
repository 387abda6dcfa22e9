// SPDX-License-Identifier: GPL-2.0-or-later
// Whole machines with guests of a few instructions: boot protocols, ends of all kinds, resets, SMP,
// hostile accesses (T53) and the edges of KVM (T56). Skipped where there is no /dev/kvm.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/kvm.h"
#include "host-vmm/machine.h"
#include "protocol/lib/log.h"
#include "tests/unit/tiny_kernel.h"
#include "tests/unit/unit.h"

#define POWEROFF "mov $0x604, %dx\n mov $0x3400, %ax\n out %ax, %dx\n 1: hlt\n jmp 1b\n"
#define PRINT(c) "mov $0x3f8, %dx\n mov $'" c "', %al\n out %al, %dx\n"
#define RESET	 "mov $0xcf9, %dx\n mov $6, %al\n out %al, %dx\n 2: jmp 2b\n"
/* PVH leaves the stack pointer undefined. */
#define STACK "mov $0x170000, %esp\n"
/* CMOS memory at 0x40 and 0x41 lives through resets: one more, and EAX is the count. */
#define COUNT                                                                  \
	"mov $0x40, %al\n out %al, $0x70\n in $0x71, %al\n movzbl %al, %ebx\n" \
	"mov $0x41, %al\n out %al, $0x70\n in $0x71, %al\n mov %al, %bh\n"     \
	"inc %ebx\n"                                                           \
	"mov $0x40, %al\n out %al, $0x70\n mov %bl, %al\n out %al, $0x71\n"    \
	"mov $0x41, %al\n out %al, $0x70\n mov %bh, %al\n out %al, $0x71\n"

/* Prints if the start info's magic is there, and that paging is off. */
TINY_CODE(pvh_guest, 32,
	  "cmpl $0x336ec578, (%ebx)\n jne 3f\n mov %cr0, %eax\n test %eax, %eax\n js 3f\n" PRINT(
		  "P") "3:\n" POWEROFF);
/* 512 bytes of padding: the loaded part begins with the 32-bit entry, which nobody uses here. */
TINY_CODE(linux_guest, 64,
	  ".skip 512\n cmpl $0x53726448, 0x202(%rsi)\n jne 3f\n mov 0x228(%rsi), %eax\n"
	  "mov (%rax), %al\n mov $0x3f8, %dx\n out %al, %dx\n 3:\n" POWEROFF);
TINY_CODE(reset_guest, 32,
	  COUNT "cmp $1000, %ebx\n je 3f\n ja 4f\n" RESET "3:\n" PRINT("R") "4:\n" POWEROFF);
TINY_CODE(once_guest, 32, RESET);
TINY_CODE(triple_guest, 32,
	  STACK COUNT
	  "cmp $2, %ebx\n je 3f\n ja 4f\n push $0\n push $0\n lidt (%esp)\n ud2\n 3:\n" PRINT(
		  "T") "4:\n" POWEROFF);
TINY_CODE(spin_guest, 32, PRINT("S") "4: jmp 4b\n");
TINY_CODE(halt_guest, 32, PRINT("H") "cli\n 4: hlt\n jmp 4b\n");
/* Instructions can be fetched from memory only. */
TINY_CODE(lost_guest, 32, "mov $0xdead0000, %eax\n jmp *%eax\n");
/* Accesses that straddle pages, the edges of claimed ranges, and nobody's addresses. */
TINY_CODE(mmio_guest, 32,
	  "mov $0xdffffffd, %eax\n mov (%eax), %ecx\n mov %ecx, (%eax)\n"
	  "mov $0xfffffff0, %eax\n mov (%eax), %ecx\n"
	  "mov $0xd0000ffe, %eax\n movl $-1, (%eax)\n cmpl $-1, (%eax)\n jne 3f\n" PRINT(
		  "M") "3:\n" POWEROFF);
/* Every port but those that stop or reset the machine, in three sizes, in and out and in strings.
 */
TINY_CODE(port_guest, 32,
	  STACK "xor %edx, %edx\n"
		"4: cmp $0x3f8, %edx\n je 5f\n cmp $0x64, %edx\n je 5f\n"
		"cmp $0x600, %edx\n jb 6f\n cmp $0x620, %edx\n jb 5f\n"
		"6: cmp $0xcf5, %edx\n jb 7f\n cmp $0xd00, %edx\n jb 5f\n"
		"7: in %dx, %al\n in %dx, %ax\n in %dx, %eax\n mov $-1, %eax\n"
		"out %al, %dx\n out %ax, %dx\n out %eax, %dx\n"
		"push %edx\n mov $3, %ecx\n mov $0x180000, %edi\n cld\n rep insl\n pop %edx\n"
		"5: add $7, %edx\n cmp $0x10000, %edx\n jb 4b\n" PRINT("I") POWEROFF);
/* Starts the others by INIT and SIPI at 0x8000, where they count themselves at 0x9000. */
TINY_CODE(
	smp_guest, 32,
	STACK
	"mov $0x8000, %edi\n mov $(8f - 9f), %ecx\n call 7f\n 7: pop %esi\n add $(9f - 7b), %esi\n"
	"cld\n rep movsb\n movl $0, 0x9000\n"
	"movl $0x000c4500, 0xfee00300\n mov $100000, %ecx\n 4: pause\n loop 4b\n"
	"movl $0x000c4608, 0xfee00300\n"
	"5: pause\n cmpl $3, 0x9000\n jb 5b\n" PRINT("4") POWEROFF
	"9: .code16\n xor %ax, %ax\n mov %ax, %ds\n lock incw 0x9000\n 6: cli\n hlt\n jmp 6b\n"
	"8: .code32\n");

/* The second processor sets its time stamps on by 2^40, and the first meets a triple fault, whose
 * SVM exit leaves no offset of its own to it. After the reset both tell the same. */
TINY_CODE(
	time_stamp_guest, 32,
	STACK COUNT
	"mov %ebx, 0x9008\n movl $0, 0x9000\n"
	"mov $0x8000, %edi\n mov $(8f - 9f), %ecx\n call 7f\n 7: pop %esi\n add $(9f - 7b), %esi\n"
	"cld\n rep movsb\n"
	"movl $0x000c4500, 0xfee00300\n mov $100000, %ecx\n 4: pause\n loop 4b\n"
	"movl $0x000c4608, 0xfee00300\n"
	"5: pause\n cmpw $0, 0x9000\n je 5b\n"
	"cmpl $2, 0x9008\n je 3f\n ja 6f\n push $0\n push $0\n lidt (%esp)\n ud2\n"
	"3: rdtsc\n sub 0x9004, %edx\n inc %edx\n cmp $2, %edx\n ja 6f\n" PRINT(
		"Y") "6:\n" POWEROFF
		     "9: .code16\n xor %ax, %ax\n mov %ax, %ds\n cmpw $1, 0x9008\n jne 7f\n"
		     "rdtsc\n add $0x100, %edx\n mov $0x10, %ecx\n wrmsr\n"
		     "7: rdtsc\n mov %edx, 0x9004\n lock incw 0x9000\n 6: cli\n hlt\n jmp 6b\n"
		     "8: .code32\n");

/* Whether the clock page (protocol/spec/vmclock.md) tells of this counter, and of one more
 * disruption: ESI counts them. */
#define CHECK_PAGE                                           \
	"inc %esi\n cmp %esi, 0xfeffb010\n jne 6f\n rdtsc\n" \
	"sub 0xfeffb028, %eax\n sbb 0xfeffb02c, %edx\n cmp $1, %edx\n ja 6f\n"

/* Sets its time stamps on by 2^40 (less what passes meanwhile), once by each register that does it,
 * and looks at the page at once. */
TINY_CODE(
	clock_guest, 32,
	"mov 0xfeffb010, %esi\n rdtsc\n add $0x100, %edx\n mov $0x10, %ecx\n wrmsr\n" CHECK_PAGE PRINT(
		"T") "mov $0x3b, %ecx\n rdmsr\n cmp $0xff, %edx\n jne 6f\n add $0x100, %edx\n wrmsr\n" CHECK_PAGE
		     "mov $0x3b, %ecx\n rdmsr\n cmp $0x1ff, %edx\n jne 6f\n" PRINT(
			     "A") "6:\n" POWEROFF);

/* Writes to the clock page, which changes nothing in it: its magic and its count of disruptions. */
TINY_CODE(clock_writer, 32,
	  "mov 0xfeffb000, %esi\n mov 0xfeffb010, %edi\n"
	  "movl $0x5a5a5a5a, 0xfeffb000\n movl $0x5a5a5a5a, 0xfeffb010\n"
	  "lock incl 0xfeffb010\n"
	  "cmp %esi, 0xfeffb000\n jne 6f\n cmp %edi, 0xfeffb010\n jne 6f\n" PRINT(
		  "R") "6:\n" POWEROFF);

static char dir[] = "/tmp/vmm_machine.XXXXXX";
static char kernel[64], serial[80], serial_log[64], append[] = "L", name[] = "test";
static char *no_initrds[] = { NULL };
static struct vm_config config;
static struct machine *machine;

static void setup(void)
{
	config = (struct vm_config){
		.dir = dir,
		.name = name,
		.cpus = 1,
		.hypervisor = VM_HYPERVISOR_LODGE,
		.memory = 64 << 20,
		.kernel = kernel,
		.initrds = no_initrds,
		.append = append,
		.serial = serial,
		.i8042 = true,
		.legacy = true,
	};
	machine = NULL;
	(void)unlink(serial_log);
}

static void teardown(void)
{
	machine_destroy(machine);
}

/* As lodge-vmm's main thread does. */
static int run_machine(void)
{
	struct pollfd event = { .fd = machine->event_fd, .events = POLLIN };
	enum machine_event end = MACHINE_NONE;

	ck_assert_int_eq(machine_start(machine), 0);
	while (end == MACHINE_NONE) {
		ck_assert(poll(&event, 1, -1) == 1 || errno == EINTR);
		end = machine_dispatch(machine);
	}
	return (int)end;
}

static int run(struct tiny_code code)
{
	tiny_kernel_write_elf(kernel, code);
	ck_assert_int_eq(machine_create(&config, &machine), 0);
	return run_machine();
}

/* What the guest printed. */
static const char *printed(void)
{
	static char text[64];
	FILE *file;
	size_t n;

	machine_destroy(machine);
	machine = NULL;
	file = fopen(serial_log, "r");
	ck_assert_ptr_nonnull(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

START_TEST(pvh_entry)
{
	ck_assert_int_eq(run(pvh_guest), MACHINE_POWEROFF);
	ck_assert_str_eq(printed(), "P");
}
END_TEST

START_TEST(linux_entry)
{
	tiny_kernel_write_bzimage(kernel, linux_guest);
	ck_assert_int_eq(machine_create(&config, &machine), 0);
	ck_assert_int_eq(run_machine(), MACHINE_POWEROFF);
	ck_assert_str_eq(printed(), "L");
}
END_TEST

static size_t count_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(t56_thousand_resets)
{
	size_t before, after;

	tiny_kernel_write_elf(kernel, reset_guest);
	ck_assert_int_eq(machine_create(&config, &machine), 0);
	before = count_fds();
	ck_assert_int_eq(run_machine(), MACHINE_POWEROFF);
	after = count_fds();
	ck_assert_uint_eq(before, after);
	ck_assert_str_eq(printed(), "R");
}
END_TEST

START_TEST(stops_on_reset)
{
	config.stop_on_reset = true;
	ck_assert_int_eq(run(once_guest), MACHINE_RESET);
}
END_TEST

START_TEST(triple_fault_is_a_reset)
{
	ck_assert_int_eq(run(triple_guest), MACHINE_POWEROFF);
	ck_assert_str_eq(printed(), "T");
}
END_TEST

START_TEST(killed_while_running_or_halted)
{
	const struct tiny_code codes[] = { spin_guest, halt_guest };

	for (size_t i = 0; i < 2; i++) {
		tiny_kernel_write_elf(kernel, codes[i]);
		ck_assert_int_eq(machine_create(&config, &machine), 0);
		ck_assert_int_eq(machine_start(machine), 0);
		machine_request(machine, MACHINE_KILL);
		ck_assert_int_eq(machine_dispatch(machine), MACHINE_KILL);
		machine_destroy(machine);
		machine = NULL;
	}
}
END_TEST

START_TEST(t56_crash_is_reported)
{
	/* Some KVMs emulate the fetch and find nothing, others give the guest a fault. */
	int end = run(lost_guest);

	ck_assert(end == MACHINE_CRASH || end == MACHINE_RESET);
}
END_TEST

START_TEST(t53_memory_accesses)
{
	ck_assert_int_eq(run(mmio_guest), MACHINE_POWEROFF);
	ck_assert_str_eq(printed(), "M");
}
END_TEST

START_TEST(t53_ports)
{
	config.stop_on_reset = true;
	ck_assert_int_eq(run(port_guest), MACHINE_POWEROFF);
	ck_assert_ptr_nonnull(strchr(printed(), 'I'));
}
END_TEST

START_TEST(time_stamps_agree_after_a_reset)
{
	config.cpus = 2;
	ck_assert_int_eq(run(time_stamp_guest), MACHINE_POWEROFF);
	ck_assert_str_eq(printed(), "Y");
}
END_TEST

/* Some KVMs that are nested take an offset and forget it. */
static bool has_tsc_offsets(void)
{
	uint64_t set = 1ull << 40, got = 0;
	struct kvm_device_attr attribute = { .group = KVM_VCPU_TSC_CTRL,
					     .attr = KVM_VCPU_TSC_OFFSET,
					     .addr = (uintptr_t)&set };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = ioctl(kvm, KVM_CREATE_VM, 0),
	    vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);

	(void)ioctl(vcpu, KVM_SET_DEVICE_ATTR, &attribute);
	attribute.addr = (uintptr_t)&got;
	(void)ioctl(vcpu, KVM_GET_DEVICE_ATTR, &attribute);
	close(vcpu);
	close(vm);
	close(kvm);
	return got == set;
}

START_TEST(clock_page_follows_a_written_counter)
{
	if (!has_tsc_offsets())
		return;
	config.clock = true;
	ck_assert_int_eq(run(clock_guest), MACHINE_POWEROFF);
	ck_assert_str_eq(printed(), "TA");
}
END_TEST

START_TEST(clock_page_is_not_the_guests_to_write)
{
	config.clock = true;
	ck_assert_int_eq(run(clock_writer), MACHINE_POWEROFF);
	ck_assert_str_eq(printed(), "R");
}
END_TEST

START_TEST(four_cpus)
{
	config.cpus = 4;
	ck_assert_int_eq(run(smp_guest), MACHINE_POWEROFF);
	ck_assert_str_eq(printed(), "4");
}
END_TEST

START_TEST(sixty_four_cpus)
{
	config.cpus = VM_CPUS_MAX;
	ck_assert_int_eq(run(pvh_guest), MACHINE_POWEROFF);
	ck_assert_str_eq(printed(), "P");
}
END_TEST

START_TEST(kvm_signature_alone)
{
	config.hypervisor = VM_HYPERVISOR_KVM;
	ck_assert_int_eq(run(pvh_guest), MACHINE_POWEROFF);
}
END_TEST

static void *interrupt_all(void *opaque)
{
	const bool *stop = opaque;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
		kill(getpid(), SIGRTMIN);
	return NULL;
}

START_TEST(t56_storm_of_signals)
{
	bool stop = false;
	pthread_t thread;
	sigset_t set;

	/* Only vCPU threads take the signal, so each one lands on one of them. */
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	config.cpus = 4;
	tiny_kernel_write_elf(kernel, smp_guest);
	ck_assert_int_eq(machine_create(&config, &machine), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_all, &stop), 0);
	ck_assert_int_eq(run_machine(), MACHINE_POWEROFF);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_assert_str_eq(printed(), "4");
}
END_TEST

START_TEST(two_machines_at_once)
{
	struct machine *other;

	tiny_kernel_write_elf(kernel, spin_guest);
	ck_assert_int_eq(machine_create(&config, &machine), 0);
	ck_assert_int_eq(machine_create(&config, &other), 0);
	ck_assert_int_eq(machine_start(machine), 0);
	ck_assert_int_eq(machine_start(other), 0);
	machine_request(other, MACHINE_KILL);
	ck_assert_int_eq(machine_dispatch(other), MACHINE_KILL);
	ck_assert_int_eq(machine_dispatch(machine), MACHINE_NONE);
	machine_destroy(other);
}
END_TEST

START_TEST(bad_configurations_fail_cleanly)
{
	size_t before = count_fds();

	tiny_kernel_write_elf(kernel, pvh_guest);
	config.memory = 1ull << 50;
	ck_assert_int_lt(machine_create(&config, &machine), 0);
	config.memory = 64 << 20;
	config.serial = (char[]){ "file:/nowhere/at/all" };
	ck_assert_int_lt(machine_create(&config, &machine), 0);
	config.serial = serial;
	config.kernel = (char[]){ "/nowhere/vmlinux" };
	ck_assert_int_eq(machine_create(&config, &machine), -ENOENT);
	config.kernel = (char[]){ "/proc/self/exe" };
	ck_assert_int_eq(machine_create(&config, &machine), 0);
	ck_assert_int_eq(machine_start(machine), -ENOEXEC);
	machine_destroy(machine);
	machine = NULL;
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

static bool has_kvm(void)
{
	char message[KVM_MESSAGE_MAX];
	int fd;

	if (kvm_open(&fd, message) < 0) {
		printf("vmm_machine: skipped: %s\n", message);
		return false;
	}
	close(fd);
	return true;
}

static Suite *make_suite(void)
{
	Suite *suite = suite_create("vmm_machine");
	TCase *tcase = tcase_create("tiny guests");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, pvh_entry);
	tcase_add_test(tcase, linux_entry);
	tcase_add_test(tcase, t56_thousand_resets);
	tcase_add_test(tcase, stops_on_reset);
	tcase_add_test(tcase, triple_fault_is_a_reset);
	tcase_add_test(tcase, killed_while_running_or_halted);
	tcase_add_test(tcase, t56_crash_is_reported);
	tcase_add_test(tcase, t53_memory_accesses);
	tcase_add_test(tcase, t53_ports);
	tcase_add_test(tcase, time_stamps_agree_after_a_reset);
	tcase_add_test(tcase, clock_page_follows_a_written_counter);
	tcase_add_test(tcase, clock_page_is_not_the_guests_to_write);
	tcase_add_test(tcase, four_cpus);
	tcase_add_test(tcase, sixty_four_cpus);
	tcase_add_test(tcase, kvm_signature_alone);
	tcase_add_test(tcase, t56_storm_of_signals);
	tcase_add_test(tcase, two_machines_at_once);
	tcase_add_test(tcase, bad_configurations_fail_cleanly);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	int status;

	log_init("vmm_machine", LOG_LEVEL_ERROR);
	if (!has_kvm())
		return EXIT_SUCCESS;
	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	snprintf(serial_log, sizeof(serial_log), "%s/serial", dir);
	snprintf(serial, sizeof(serial), "file:%s", serial_log);
	status = unit_run(make_suite());
	(void)unlink(kernel);
	(void)unlink(serial_log);
	(void)rmdir(dir);
	return status;
}
