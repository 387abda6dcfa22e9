// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge check`: what this host can do for VMs, found out by trying, and the fix for what it lacks.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/hostcheck.h"
#include "host-vmm/cli/json.h"
#include "host-vmm/cli/kernel.h"
#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/probe.h"
#include "host-vmm/kvm.h"

enum verdict { OK, WARN, MISSING };

static const char *const verdict_words[] = { "ok", "warn", "missing" };

/* What one row of the table found. Strings are g_free()d. */
struct finding {
	enum verdict verdict;
	char *detail;
	char *fix; /* NULL where nothing is to be done */
};

struct check {
	const char *name;
	bool needed; /* no VM runs without it */
	void (*run)(struct finding *finding);
};

static void found(struct finding *finding, enum verdict verdict, char *detail, const char *fix)
{
	finding->verdict = verdict;
	finding->detail = detail;
	finding->fix = g_strdup(fix);
}

static bool has_flag(const char *flags, const char *flag)
{
	size_t len = strlen(flag);

	for (const char *at = flags; (at = strstr(at, flag)); at += len) {
		if (at > flags && at[-1] == ' ' && (at[len] == ' ' || at[len] == '\n'))
			return true;
	}
	return false;
}

static void check_cpu(struct finding *finding)
{
	g_autofree char *text = NULL;

	if (!g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL)) {
		found(finding, WARN, g_strdup("/proc/cpuinfo cannot be read"), "mount /proc");
		return;
	}
	if (has_flag(text, "vmx"))
		found(finding, OK, g_strdup("Intel VT-x (vmx)"), NULL);
	else if (has_flag(text, "svm"))
		found(finding, OK, g_strdup("AMD-V (svm)"), NULL);
	else
		/* /dev/kvm and the trial decide: a hypervisor may hide the flag. */
		found(finding, WARN, g_strdup("neither vmx nor svm among the flags"),
		      "turn on virtualization in the firmware's setup, or, in a virtual machine, "
		      "nested virtualization on its host");
}

static char *group_fix(void)
{
	struct stat st;
	struct group *group = stat("/dev/kvm", &st) ? NULL : getgrgid(st.st_gid);
	struct passwd *user = getpwuid(geteuid());

	return g_strdup_printf("run: sudo usermod -aG %s %s; then log in again",
			       group ? group->gr_name : "kvm", user ? user->pw_name : "$USER");
}

static void check_kvm(struct finding *finding)
{
	char message[KVM_MESSAGE_MAX] = "";
	int fd = -1, ret;

	ret = access("/dev/kvm", F_OK) ? -ENOENT : kvm_open(&fd, message);
	if (!ret) {
		close(fd);
		found(finding, OK, g_strdup("/dev/kvm opens and has what Lodge needs"), NULL);
	} else if (ret == -ENOENT) {
		found(finding, MISSING, g_strdup("there is no /dev/kvm"),
		      "load KVM: sudo modprobe kvm_intel (or kvm_amd)");
	} else if (ret == -EACCES || ret == -EPERM) {
		g_autofree char *fix = group_fix();

		found(finding, MISSING, g_strdup("/dev/kvm may not be opened by you"), fix);
	} else {
		found(finding, MISSING, g_strdup(message), "use a newer kernel, or see dmesg");
	}
}

static void check_guest(struct finding *finding)
{
	g_autofree char *message = NULL;
	struct probe probe;
	int ret;

	if (access("/dev/kvm", R_OK | W_OK)) {
		found(finding, MISSING, g_strdup("not tried: /dev/kvm may not be opened"), NULL);
		return;
	}
	ret = probe_guest(&probe, &message);
	if (ret)
		found(finding, MISSING, g_strdup_printf("not tried: %s", message), NULL);
	else if (probe.runs)
		found(finding, OK,
		      g_strdup_printf("%s ran, up and down in %u ms", probe.tried, probe.ms), NULL);
	else
		found(finding, MISSING,
		      g_strdup_printf("%s does not run: %s", probe.tried, probe.why),
		      "this host's KVM cannot run unmodified guests; use another host, or turn on "
		      "nested virtualization where this one is itself a virtual machine");
	probe_clear(&probe);
}

static void check_memory(struct finding *finding)
{
	uint64_t bytes = host_memory();
	g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT " MiB", bytes >> 20);

	if (bytes >= 1ull << 30)
		found(finding, OK, g_steal_pointer(&text), NULL);
	else
		found(finding, WARN, g_steal_pointer(&text),
		      "give VMs less than the usual 1G by --memory");
}

static void check_kernel(struct finding *finding)
{
	g_autofree char *message = NULL;
	struct kernel kernel;

	if (kernel_find("/boot", "/lib/modules", &kernel, &message)) {
		found(finding, WARN, g_steal_pointer(&message),
		      "lodge run needs it, or --kernel FILE");
		return;
	}
	found(finding, OK, g_strdup_printf("%s, with modules", kernel.image), NULL);
	kernel_clear(&kernel);
}

static void check_program(struct finding *finding, const char *name, const char *fix)
{
	char *path = paths_helper(name);

	if (path)
		found(finding, OK, path, NULL);
	else
		found(finding, MISSING, g_strdup_printf("%s is not beside lodge", name), fix);
}

static void check_vmm(struct finding *finding)
{
	check_program(finding, "lodge-vmm", "install Lodge whole, or set LODGE_LIBEXEC");
}

static void check_fsd(struct finding *finding)
{
	check_program(finding, "lodge-fsd", "shares need it; install Lodge whole");
}

static void check_init(struct finding *finding)
{
	check_program(finding, "lodge-init", "lodge run needs it; install Lodge whole");
}

static void check_file(struct finding *finding, const char *const *paths, const char *what,
		       const char *fix)
{
	for (; *paths; paths++) {
		if (!access(*paths, R_OK)) {
			found(finding, OK, g_strdup(*paths), NULL);
			return;
		}
	}
	found(finding, WARN, g_strdup(what), fix);
}

static void check_storage_daemon(struct finding *finding)
{
	static const char *const paths[] = { "/usr/bin/qemu-storage-daemon", NULL };

	check_file(finding, paths, "no qemu-storage-daemon: disks in raw form only",
		   "apt install qemu-system-common");
}

static void check_passt(struct finding *finding)
{
	static const char *const paths[] = { "/usr/bin/passt", NULL };

	check_file(finding, paths, "no passt: guests will have no network", "apt install passt");
}

static void check_firmware(struct finding *finding)
{
	static const char *const paths[] = { "/usr/share/OVMF/OVMF_CODE_4M.fd",
					     "/usr/share/OVMF/OVMF_CODE.fd",
					     "/usr/share/seabios/bios-256k.bin", NULL };

	check_file(finding, paths, "no firmware: guests boot Linux directly only",
		   "apt install ovmf seabios");
}

static const struct check checks[] = {
	{ "processor", false, check_cpu },
	{ "kvm", true, check_kvm },
	{ "lodge-vmm", true, check_vmm },
	{ "guest", true, check_guest },
	{ "memory", false, check_memory },
	{ "kernel", false, check_kernel },
	{ "lodge-init", false, check_init },
	{ "lodge-fsd", false, check_fsd },
	{ "disk formats", false, check_storage_daemon },
	{ "network", false, check_passt },
	{ "firmware", false, check_firmware },
};

static void print_row(const struct check *check, const struct finding *finding)
{
	printf("%-12s  %-7s  %s\n", check->name, verdict_words[finding->verdict], finding->detail);
	if (finding->fix && finding->verdict != OK)
		printf("%-12s  %-7s  -> %s\n", "", "", finding->fix);
	/* The trial takes a while: what is known already should be seen. */
	fflush(stdout);
}

static void add_row(JsonArray *rows, const struct check *check, const struct finding *finding)
{
	JsonObject *row = json_object_new();

	json_object_set_string_member(row, "name", check->name);
	json_object_set_string_member(row, "verdict", verdict_words[finding->verdict]);
	json_object_set_boolean_member(row, "needed", check->needed);
	json_object_set_string_member(row, "detail", finding->detail);
	if (finding->fix)
		json_object_set_string_member(row, "fix", finding->fix);
	json_array_add_object_element(rows, row);
}

static bool check_all(JsonArray *rows)
{
	bool can_run = true;

	for (size_t i = 0; i < G_N_ELEMENTS(checks); i++) {
		struct finding finding = { 0 };

		checks[i].run(&finding);
		if (checks[i].needed && finding.verdict == MISSING)
			can_run = false;
		if (rows)
			add_row(rows, &checks[i], &finding);
		else
			print_row(&checks[i], &finding);
		g_free(finding.detail);
		g_free(finding.fix);
	}
	return can_run;
}

static void print_json(JsonArray *rows, bool can_run)
{
	g_autoptr(JsonObject) object = json_object_new();

	json_object_set_boolean_member(object, "can_run", can_run);
	json_object_set_array_member(object, "checks", json_array_ref(rows));
	json_print_object(object);
}

int verb_check(int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 'j', 0, G_OPTION_ARG_NONE, &json, "print JSON", NULL },
		{ 0 },
	};
	g_autoptr(JsonArray) rows = NULL;
	bool can_run;
	int status;

	status = parse_options(
		&argc, &argv, "",
		"Tells what this host can do for VMs, and how to get what is missing.",
		"The exit status is 0 where VMs can run, else 69.", entries);
	if (!status && argc > 1)
		status = fail(EX_USAGE, "check: '%s' is one word too many; it takes none", argv[1]);
	if (status)
		return status;
	rows = json ? json_array_new() : NULL;
	can_run = check_all(rows);
	if (json)
		print_json(rows, can_run);
	else
		printf("\n%s\n",
		       can_run ? "VMs can run on this host." : "VMs cannot run on this host.");
	return can_run ? EX_OK : EX_UNAVAILABLE;
}
