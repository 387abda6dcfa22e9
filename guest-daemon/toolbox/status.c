// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * status: each feature, on which rung of the ladder it stands, and what would lift it.
 *
 * Rung 0 is the guest's own drivers, rung 1 the daemon, rung 2 our kernel modules; "-" is a feature
 * that does not work.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lodge/fs_notify.h>

#include "guest-daemon/lib/mounts.h"
#include "guest-daemon/lib/drm.h"
#include "guest-daemon/toolbox/toolbox.h"
#include "protocol/lib/fields.h"

struct facts {
	char *door; /* lodged's; "" where it has none; NULL: lodged does not run */
	char *why; /* doors that were not taken, "name: reason" lines */
	char *policy; /* allow-exec */
	char *clock_by; /* what lodged knows the host's time by, or NULL */
};

struct finding {
	int rung; /* -1: does not work */
	const char *how, *lift;
};

static bool has_entry(const char *folder, const char *prefix)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = g_str_has_prefix(entry->d_name, prefix);
	if (dir)
		closedir(dir);
	return found;
}

static bool file_has(const char *path, const char *word)
{
	g_autofree char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, word);
}

static void find_rpc(const struct facts *facts, struct finding *finding)
{
	const char *door = facts->door ? facts->door : "";

	*finding = (struct finding){ -1, "no way to the host",
				     "start lodged: systemctl start lodged" };
	if (!strcmp(door, "virtio"))
		*finding = (struct finding){ 2, "module lodge_backdoor, /dev/lodge", "" };
	else if (!strcmp(door, "port"))
		*finding = (struct finding){ 1, "virtio-serial port",
					     "the module lodge_backdoor makes it faster" };
	else if (!strcmp(door, "ioports"))
		*finding = (struct finding){
			1, "VMware-compatible I/O ports, polled",
			"the module lodge_backdoor, or the port org.lodge.tools.0"
		};
	else if (facts->door)
		finding->lift = "see the doors above";
	if (finding->rung == 1 && !access("/dev/lodge", F_OK))
		finding->lift =
			"/dev/lodge is there now: lodged takes it when the host has no command open";
}

static void find_facts(const struct facts *facts, struct finding *finding)
{
	if (facts->door && *facts->door)
		*finding = (struct finding){ 1, "lodged tells the host of changes", "" };
	else
		*finding = (struct finding){ -1, "the host knows nothing of this guest",
					     "a way to the host, above" };
}

static void find_power(const struct facts *facts, struct finding *finding)
{
	if (facts->door && *facts->door)
		*finding = (struct finding){ 1, "lodged, with scripts before and after", "" };
	else
		*finding =
			(struct finding){ 0, "ACPI button", "a way to the host, for the scripts" };
}

static void find_exec(const struct facts *facts, struct finding *finding)
{
	bool streams = facts->door &&
		       (!strcmp(facts->door, "virtio") || !strcmp(facts->door, "port"));
	bool off = !facts->policy || !strcmp(facts->policy, "off");

	if (!streams)
		*finding = (struct finding){ -1, "needs the virtio or port door", "see rpc" };
	else if (off)
		*finding = (struct finding){
			-1, "switched off in this guest",
			"lodge-toolbox config set guest-ops allow-exec user (or root)"
		};
	else
		*finding = (struct finding){ 1, "lodged, as tools.conf allows", "" };
}

static void find_folders(const struct facts *facts, struct finding *finding)
{
	g_autofree struct mount_line *mount = g_new0(struct mount_line, 1);
	g_autofree char *mounts = NULL;

	const struct share_transport *by;

	(void)facts;
	if (!g_file_get_contents("/proc/self/mountinfo", &mounts, NULL, NULL))
		mounts = g_strdup("");
	by = mounts_find_shares(mounts, mount) ? mounts_transport(mount->type) : NULL;
	if (by)
		*finding = (struct finding){ by->rung, by->how, by->lift };
	else if (strstr(mounts, " - virtiofs "))
		*finding = (struct finding){ 0, "virtiofs, mounted by hand", "" };
	else if (file_has("/proc/filesystems", "virtiofs"))
		*finding =
			(struct finding){ 0, "virtiofs, to be mounted by hand",
					  "lodged mounts the shares, if the VM has their device" };
	else
		*finding = (struct finding){
			-1, "no virtiofs in this kernel",
			"lodged mounts the shares by the module lodge_fs, or over its door"
		};
}

/* Whether the host's changes of shares are seen at once. */
static void find_changes(const struct facts *facts, struct finding *finding)
{
	g_autofree struct mount_line *mount = g_new0(struct mount_line, 1);
	g_autofree char *mounts = NULL;
	bool streams = facts->door &&
		       (!strcmp(facts->door, "virtio") || !strcmp(facts->door, "port"));

	if (!g_file_get_contents("/proc/self/mountinfo", &mounts, NULL, NULL) ||
	    !mounts_find_shares(mounts, mount))
		*finding = (struct finding){ -1, "no shares are mounted", "see folders" };
	else if (!streams)
		*finding = (struct finding){ 0, "seen when caches run out, within 1 s", "see rpc" };
	else if (access(LODGE_FS_EVENTS_PATH, F_OK))
		*finding = (struct finding){ 1, "caches are fresh at once, inotify is silent",
					     "the module lodge_fs makes inotify tell of them" };
	else
		*finding = (struct finding){ 2, "module lodge_fs: inotify tells of them, too", "" };
}

static void find_clock(const struct facts *facts, struct finding *finding)
{
	const char *by = facts->clock_by ? facts->clock_by : "";
	bool kvm = file_has("/sys/devices/system/clocksource/clocksource0/current_clocksource",
			    "kvm-clock");

	if (!strcmp(by, "lodge_clock"))
		*finding = (struct finding){ 2, "module lodge_clock", "" };
	else if (*by)
		*finding = (struct finding){ 1, strcmp(by, "rpc") ? by : "lodged asks the host",
					     "the module lodge_clock" };
	else
		*finding = (struct finding){ 0, kvm ? "kvm-clock" : "the processor's counter",
					     "lodged with a way to the host" };
}

static void find_memory(const struct facts *facts, struct finding *finding)
{
	bool told = facts->door && *facts->door && !access("/proc/pressure/memory", F_OK);

	if (!access("/sys/module/lodge_balloon", F_OK) &&
	    has_entry("/sys/bus/virtio/drivers/lodge_backdoor", "virtio"))
		*finding = (struct finding){ 2, "module lodge_balloon", "" };
	else if (has_entry("/sys/bus/virtio/drivers/virtio_balloon", "virtio") && told)
		*finding = (struct finding){ 1, "virtio_balloon; lodged tells of stalls",
					     "the module lodge_balloon makes it faster" };
	else if (has_entry("/sys/bus/virtio/drivers/virtio_balloon", "virtio"))
		*finding =
			(struct finding){ 0, "virtio_balloon", "lodged tells the host of stalls" };
	else
		*finding = (struct finding){ -1, "no balloon", "modprobe virtio_balloon" };
}

static void find_display(const struct facts *facts, struct finding *finding)
{
	static const char lift[] = "the module lodge_display; lodge-session, where a desktop does "
				   "not follow the window: see lodge-toolbox display";
	unsigned int card;
	char driver[32];

	switch (drm_find("/sys", &card, driver)) {
	case 0:
		if (!strcmp(driver, "lodge_display"))
			*finding = (struct finding){ 2, "module lodge_display", "" };
		else if (facts->door)
			*finding =
				(struct finding){ 1, "virtio-gpu, lodged on text consoles", lift };
		else
			*finding = (struct finding){ 0, "virtio-gpu", lift };
		break;
	case -ENXIO:
		*finding =
			(struct finding){ -1, "no driver has the display", "modprobe virtio-gpu" };
		break;
	default:
		*finding = (struct finding){ -1, "this VM has no display",
					     "on the host: lodge set NAME display.heads=1" };
	}
}

static const struct {
	const char *name;
	void (*find)(const struct facts *facts, struct finding *finding);
} features[] = {
	{ "rpc", find_rpc },	 { "facts", find_facts },     { "power", find_power },
	{ "exec", find_exec },	 { "folders", find_folders }, { "changes", find_changes },
	{ "clock", find_clock }, { "memory", find_memory },   { "display", find_display },
};

static void ask_daemon(const struct toolbox *toolbox, struct facts *facts)
{
	static const char ask[] = "lodged.status";
	struct toolbox daemon = *toolbox;
	GString *why = g_string_new(NULL);
	struct door_answer answer;
	const char *line;
	size_t at = 0;

	daemon.only = DOOR_DAEMON;
	if (!toolbox_ask(&daemon, ask, sizeof(ask) - 1, &answer)) {
		if (answer.ok && !fields_check(answer.payload, answer.len)) {
			facts->door = g_strdup(fields_get(answer.payload, answer.len, "door"));
			facts->policy =
				g_strdup(fields_get(answer.payload, answer.len, "allow-exec"));
			facts->clock_by =
				g_strdup(fields_get(answer.payload, answer.len, "clock-by"));
			while ((line = fields_next(answer.payload, answer.len, "why", &at)))
				g_string_append_printf(why, "%s\n", line);
		}
		free(answer.payload);
	}
	facts->why = g_string_free(why, FALSE);
}

static void print_json(const struct facts *facts)
{
	g_auto(GStrv) lines = g_strsplit(g_strchomp(facts->why), "\n", -1);

	printf("{\"version\":\"%s\",\"lodged\":%s,\"door\":", LODGE_VERSION,
	       facts->door ? "true" : "false");
	json_print_string(facts->door ? facts->door : "");
	printf(",\"not\":[");
	for (char **line = lines; *line; line++) {
		printf("%s", line == lines ? "" : ",");
		json_print_string(*line);
	}
	printf("],\"features\":[");
	for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
		struct finding finding;

		features[i].find(facts, &finding);
		printf("%s{\"name\":\"%s\",\"rung\":", i ? "," : "", features[i].name);
		if (finding.rung < 0)
			printf("null");
		else
			printf("%d", finding.rung);
		printf(",\"how\":");
		json_print_string(finding.how);
		printf(",\"lift\":");
		json_print_string(finding.lift);
		putchar('}');
	}
	printf("]}\n");
}

static void print_text(const struct facts *facts)
{
	g_auto(GStrv) lines = g_strsplit(g_strchomp(facts->why), "\n", -1);

	printf("lodged     %s\n", !facts->door	  ? "does not run"
				  : !*facts->door ? "runs, without a way to the host"
						  : "runs");
	for (char **line = lines; *line && **line; line++)
		printf("  not %s\n", *line);
	printf("%-10s %-4s %s\n", "FEATURE", "RUNG", "HOW; what would lift it");
	for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
		struct finding finding;
		char rung[12] = "-";

		features[i].find(facts, &finding);
		if (finding.rung >= 0)
			snprintf(rung, sizeof(rung), "%d", finding.rung);
		printf("%-10s %-4s %s%s%s\n", features[i].name, rung, finding.how,
		       *finding.lift ? "; " : "", finding.lift);
	}
}

int verb_status(const struct toolbox *toolbox, int argc, char **argv)
{
	bool json = argc == 1 && !strcmp(argv[0], "--json");
	struct facts facts = { 0 };
	int status;

	if (argc && !json)
		return misused(toolbox, "unknown word", argv[0]);
	ask_daemon(toolbox, &facts);
	if (json)
		print_json(&facts);
	else
		print_text(&facts);
	status = facts.door && *facts.door ? 0 : EX_UNAVAILABLE;
	g_free(facts.door);
	g_free(facts.why);
	g_free(facts.policy);
	g_free(facts.clock_by);
	return status;
}
