# SPDX-License-Identifier: GPL-2.0-or-later
# Lodge's build: one make for the whole tree; every folder adds its rows by a build.mk.
#
# A build.mk may add:
#   progs += NAME           NAME_srcs, NAME_pkgs (pkg-config), NAME_ldflags, NAME_libs (of libs)
#   libs += NAME            NAME_srcs: a static library for programs and tests
#   guest_progs += NAME     like progs, linked statically: runs in any guest
#   unit_tests += NAME      NAME_srcs, NAME_libs, NAME_pkgs: built with ASan and UBSan, run by `make check`
#   thread_tests += NAME    of unit_tests: built with TSan, too
#   fuzz_targets += NAME    NAME_srcs, NAME_libs, NAME_pkgs: built with clang's libFuzzer
#   man_pages += FILE.scd   man page sources (scdoc)

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
V ?= 0
CC ?= gcc
FUZZ_CC ?= clang
VERSION := 0.1.0

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

warnings := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes \
	-Wimplicit-fallthrough -Wvla -Wpointer-arith -Wwrite-strings
CFLAGS ?= -O2 -g
common_cflags := -std=gnu17 $(warnings) -D_GNU_SOURCE -DLODGE_VERSION='"$(VERSION)"' \
	-DLODGE_PREFIX='"$(PREFIX)"' -Iprotocol/include -I. -fno-strict-aliasing -pthread
release_cflags := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
san_cflags := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
thread_cflags := -O1 -fno-omit-frame-pointer -fsanitize=thread -Wno-tsan
fuzz_cflags := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
release_ldflags := -pie -Wl,-z,relro,-z,now -Wl,--as-needed

progs :=
libs :=
guest_progs :=
unit_tests :=
thread_tests :=
fuzz_targets :=
man_pages :=

all: build

include $(sort $(wildcard */build.mk */*/build.mk))

all_pkgs := $(sort $(foreach t,$(progs) $(libs) $(unit_tests) $(fuzz_targets),$($(t)_pkgs)))
ifneq ($(all_pkgs),)
# One by one: those that the tests alone need may be missing.
pkg_cflags := $(sort $(shell for pkg in $(all_pkgs); do pkg-config --cflags $$pkg; done 2>/dev/null))
endif
pkgs_of = $(sort $($(1)_pkgs) $(foreach l,$($(1)_libs),$($(l)_pkgs)))
pkg_libs = $(if $(call pkgs_of,$(1)),$(shell pkg-config --libs $(call pkgs_of,$(1))))

# $(1) variant, $(2) name: the objects of a thing and of the libraries it uses, in that variant
objs_of = $(patsubst %.c,$(BUILD)/$(1)/%.o,$($(2)_srcs) $(foreach l,$($(2)_libs),$($(l)_srcs)))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(common_cflags) $(release_cflags) $(pkg_cflags) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/san/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC-SAN $<
	$(Q)$(CC) $(common_cflags) $(pkg_cflags) $(CFLAGS) $(san_cflags) -MMD -MP -c -o $@ $<

$(BUILD)/threadobj/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC-THR $<
	$(Q)$(CC) $(common_cflags) $(pkg_cflags) $(CFLAGS) $(thread_cflags) -MMD -MP -c -o $@ $<

$(BUILD)/fuzzobj/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC-FUZZ $<
	$(Q)$(FUZZ_CC) $(common_cflags) $(pkg_cflags) $(fuzz_cflags) -MMD -MP -c -o $@ $<

define prog_rule
$(BUILD)/bin/$(1): $(call objs_of,obj,$(1))
	@mkdir -p $$(@D)
	$$(say) LD $$@
	$$(Q)$$(CC) $(release_ldflags) $$(CFLAGS) -pthread -o $$@ $$^ $($(1)_ldflags) $$(call pkg_libs,$(1))
endef

define guest_rule
$(BUILD)/guest/$(1): $(call objs_of,obj,$(1))
	@mkdir -p $$(@D)
	$$(say) LD-GST $$@
	$$(Q)$$(CC) -static -no-pie $$(CFLAGS) -o $$@ $$^ $($(1)_ldflags)
endef

define san_prog_rule
$(BUILD)/san-bin/$(1): $(call objs_of,san,$(1))
	@mkdir -p $$(@D)
	$$(say) LD-SAN $$@
	$$(Q)$$(CC) $(san_cflags) $$(CFLAGS) -pthread -o $$@ $$^ $($(1)_ldflags) $$(call pkg_libs,$(1))
endef

define test_rule
$(BUILD)/unit/$(1): $(call objs_of,san,$(1))
	@mkdir -p $$(@D)
	$$(say) LD-TEST $$@
	$$(Q)$$(CC) $(san_cflags) $$(CFLAGS) -pthread -o $$@ $$^ $($(1)_ldflags) $$(call pkg_libs,$(1))
endef

define thread_rule
$(BUILD)/threads/$(1): $(call objs_of,threadobj,$(1))
	@mkdir -p $$(@D)
	$$(say) LD-THR $$@
	$$(Q)$$(CC) $(thread_cflags) $$(CFLAGS) -pthread -o $$@ $$^ $($(1)_ldflags) $$(call pkg_libs,$(1))
endef

define fuzz_rule
$(BUILD)/fuzz/$(1): $(call objs_of,fuzzobj,$(1))
	@mkdir -p $$(@D)
	$$(say) LD-FUZZ $$@
	$$(Q)$$(FUZZ_CC) -g -fsanitize=fuzzer,address,undefined -pthread -o $$@ $$^ $($(1)_ldflags) $$(call pkg_libs,$(1))
endef

$(foreach p,$(progs),$(eval $(call prog_rule,$(p)))$(eval $(call san_prog_rule,$(p))))
$(foreach p,$(guest_progs),$(eval $(call guest_rule,$(p))))
$(foreach p,$(unit_tests),$(eval $(call test_rule,$(p))))
$(foreach p,$(thread_tests),$(eval $(call thread_rule,$(p))))
$(foreach p,$(fuzz_targets),$(eval $(call fuzz_rule,$(p))))

define man_rule
$(BUILD)/man/$(notdir $(1:.scd=)): $(1)
	@mkdir -p $$(@D)
	$$(say) SCDOC $$@
	$$(Q)scdoc <$$< >$$@.tmp && mv $$@.tmp $$@
endef
$(foreach m,$(man_pages),$(eval $(call man_rule,$(m))))

build: $(progs:%=$(BUILD)/bin/%) $(guest_progs:%=$(BUILD)/guest/%)
san: $(progs:%=$(BUILD)/san-bin/%)
units: $(unit_tests:%=$(BUILD)/unit/%) $(thread_tests:%=$(BUILD)/threads/%)
fuzzers: $(fuzz_targets:%=$(BUILD)/fuzz/%)
man: $(patsubst %.scd,$(BUILD)/man/%,$(notdir $(man_pages)))

# What a first command in a fresh clone may be: packages first, then a make that sees them.
abs_build := $(abspath $(BUILD))
again = +$(Q)$(MAKE) --no-print-directory BUILD='$(BUILD)'
ensure = $(Q)packaging/deps --ensure

deps:
	$(ensure)

check:
	$(ensure) build lab tests docs
	$(again) -j$$(nproc) build units fuzzers man test-modules
	$(again) -k run-units run-static run-fuzzers run-lab run-vm

check-unit:
	$(ensure) build tests
	$(again) -j$$(nproc) units
	$(again) run-units

check-static:
	$(ensure) build tests
	$(again) run-static

check-fuzz:
	$(ensure) build tests
	$(again) -j$$(nproc) fuzzers
	$(again) run-fuzzers

check-vm:
	$(ensure) build lab tests
	$(again) -j$$(nproc) build test-modules
	$(again) run-vm T='$(T)'

run-units:
	$(Q)tests/each unit $(unit_tests:%=$(BUILD)/unit/%)
	$(Q)tests/threads $(thread_tests:%=$(BUILD)/threads/%)
run-static:
	$(Q)tests/each static $$(find tests/static -type f -perm -u+x | sort)
run-fuzzers:
	$(Q)tests/fuzz/replay $(fuzz_targets:%=$(BUILD)/fuzz/%)
run-lab:
	$(Q)BUILD='$(abs_build)' tests/each lab tests/lab/selftest
run-vm:
	$(Q)BUILD='$(abs_build)' tests/vm/run $(T)

demo:
	$(ensure) build lab
	$(again) -j$$(nproc) build
	$(Q)BUILD='$(abs_build)' tests/demo/run

bench:
	$(ensure) build lab bench
	$(again) -j$$(nproc) build
	$(Q)BUILD='$(abs_build)' tests/bench/run $(NAME)

SECONDS ?= 60
fuzz:
	$(ensure) build tests
	$(again) -j$$(nproc) $(if $(F),$(BUILD)/fuzz/$(F),fuzzers)
	$(Q)tests/fuzz/search $(SECONDS) $(if $(F),$(BUILD)/fuzz/$(F),$(fuzz_targets:%=$(BUILD)/fuzz/%))

lint:
	$(ensure) build tests lint
	$(Q)tests/lint/run $(common_cflags) $$(pkg-config --cflags $(all_pkgs) check)

# Programs that users call go to bin; those that lodge starts go beside each other to libexec/lodge.
user_progs := $(filter lodge lodge-view,$(progs))
inner_progs := $(filter-out $(user_progs),$(progs))
# Of guests: install-tools. Hosts have them too, for instant VMs.
tools_progs := $(filter lodged lodge-files lodge-session lodge-toolbox mount.lodge,$(progs))
tools_man := lodge.4 lodged.8 lodge-session.1 lodge-toolbox.1 mount.lodge.8 tools.conf.5
man_path = $(DESTDIR)$(PREFIX)/share/man/man$(lastword $(subst ., ,$(1)))/$(1)
shipped_guest := $(foreach p,$(guest_progs),$(if $(filter tests/%,$(firstword $($(p)_srcs))),,$(p)))

install: build man
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/lodge/guest
	$(foreach p,$(user_progs),install -m 755 $(BUILD)/bin/$(p) $(DESTDIR)$(PREFIX)/bin/;)
	$(foreach p,$(inner_progs),install -m 755 $(BUILD)/bin/$(p) $(DESTDIR)$(PREFIX)/libexec/lodge/;)
	$(foreach p,$(shipped_guest),install -m 755 $(BUILD)/guest/$(p) $(DESTDIR)$(PREFIX)/libexec/lodge/guest/;)
	$(foreach m,$(notdir $(man_pages:.scd=)),install -D -m 644 $(BUILD)/man/$(m) $(call man_path,$(m));)
	install -D -m 644 packaging/completion/lodge.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/lodge
	install -D -m 644 packaging/completion/lodge.zsh \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_lodge

# The tools of a guest, into the guest: DESTDIR may be its root.
install-tools: $(tools_progs:%=$(BUILD)/bin/%) $(tools_man:%=$(BUILD)/man/%)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/lodge $(DESTDIR)/etc/lodge/scripts
	install -m 755 $(BUILD)/bin/lodge-toolbox $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(BUILD)/bin/lodged $(BUILD)/bin/lodge-files $(BUILD)/bin/lodge-session \
		$(DESTDIR)$(PREFIX)/libexec/lodge/
	install -D -m 755 $(BUILD)/bin/mount.lodge $(DESTDIR)/usr/sbin/mount.lodge
	ln -sf mount.lodge $(DESTDIR)/usr/sbin/mount.fuse.lodge
	ln -sf mount.lodge $(DESTDIR)/usr/sbin/mount.fuse.lodge-rpc
	ln -sf ../../bin/lodge-toolbox $(DESTDIR)$(PREFIX)/libexec/lodge/vmware-toolbox-cmd
	ln -sf ../../bin/lodge-toolbox $(DESTDIR)$(PREFIX)/libexec/lodge/vmware-rpctool
	$(foreach m,$(tools_man),install -D -m 644 $(BUILD)/man/$(m) $(call man_path,$(m));)
	install -D -m 644 packaging/completion/lodge-toolbox.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/lodge-toolbox
	install -D -m 644 packaging/completion/lodge-toolbox.zsh \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_lodge-toolbox
	install -D -m 644 packaging/udev/60-lodge.rules $(DESTDIR)/usr/lib/udev/rules.d/60-lodge.rules
	install -D -m 644 packaging/modprobe/lodge.conf $(DESTDIR)/usr/lib/modprobe.d/lodge.conf
	install -D -m 644 packaging/systemd/examples/no-exec.conf \
		$(DESTDIR)$(PREFIX)/share/doc/lodge/examples/no-exec.conf
	install -d $(DESTDIR)/usr/lib/systemd/system
	sed 's,@LIBEXEC@,$(PREFIX)/libexec/lodge,' packaging/systemd/lodged.service \
		>$(DESTDIR)/usr/lib/systemd/system/lodged.service
	install -d $(DESTDIR)/usr/lib/systemd/user $(DESTDIR)/etc/xdg/autostart
	sed 's,@LIBEXEC@,$(PREFIX)/libexec/lodge,' packaging/systemd/lodge-session.service \
		>$(DESTDIR)/usr/lib/systemd/user/lodge-session.service
	sed 's,@LIBEXEC@,$(PREFIX)/libexec/lodge,' packaging/session/lodge-session.desktop \
		>$(DESTDIR)/etc/xdg/autostart/lodge-session.desktop
	install -d $(DESTDIR)/etc/sway/config.d
	sed 's,@LIBEXEC@,$(PREFIX)/libexec/lodge,' packaging/session/sway.conf \
		>$(DESTDIR)/etc/sway/config.d/lodge-session.conf
	test -e $(DESTDIR)/etc/chrony/conf.d/lodge.conf || \
		install -D -m 644 packaging/chrony/lodge.conf $(DESTDIR)/etc/chrony/conf.d/lodge.conf
	test -e $(DESTDIR)/etc/lodge/tools.conf || \
		install -m 644 packaging/tools.conf $(DESTDIR)/etc/lodge/tools.conf

# What the two above put there, with the folders that are Lodge's own. The programs of a guest are in both.
drop_empty = $(foreach d,$(1),[ ! -d $(DESTDIR)$(d) ] || rmdir --ignore-fail-on-non-empty $(DESTDIR)$(d);)
uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,$(user_progs:%=bin/%) $(inner_progs:%=libexec/lodge/%) \
		$(shipped_guest:%=libexec/lodge/guest/%) share/bash-completion/completions/lodge \
		share/zsh/site-functions/_lodge) $(foreach m,$(notdir $(man_pages:.scd=)),$(call man_path,$(m)))
	$(call drop_empty,$(PREFIX)/libexec/lodge/guest $(PREFIX)/libexec/lodge)

# What somebody wrote into the configuration stays.
uninstall-tools:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,bin/lodge-toolbox $(addprefix libexec/lodge/,lodged lodge-files \
		lodge-session vmware-toolbox-cmd vmware-rpctool) share/bash-completion/completions/lodge-toolbox \
		share/zsh/site-functions/_lodge-toolbox share/doc/lodge/examples/no-exec.conf) \
		$(foreach m,$(tools_man),$(call man_path,$(m))) \
		$(addprefix $(DESTDIR)/usr/sbin/mount.,lodge fuse.lodge fuse.lodge-rpc) \
		$(addprefix $(DESTDIR)/usr/lib/,udev/rules.d/60-lodge.rules modprobe.d/lodge.conf \
		systemd/system/lodged.service systemd/user/lodge-session.service) \
		$(addprefix $(DESTDIR)/etc/,xdg/autostart/lodge-session.desktop sway/config.d/lodge-session.conf)
	! cmp -s packaging/tools.conf $(DESTDIR)/etc/lodge/tools.conf || rm $(DESTDIR)/etc/lodge/tools.conf
	! cmp -s packaging/chrony/lodge.conf $(DESTDIR)/etc/chrony/conf.d/lodge.conf || \
		rm $(DESTDIR)/etc/chrony/conf.d/lodge.conf
	$(call drop_empty,/etc/lodge/scripts /etc/lodge $(PREFIX)/libexec/lodge \
		$(PREFIX)/share/doc/lodge/examples $(PREFIX)/share/doc/lodge)

help:
	@echo 'make               build everything into $(BUILD)'
	@echo 'make demo          a guest opens a folder of this machine'
	@echo 'make modules       the guest'"'"'s kernel modules [KDIR=/lib/modules/VERSION/build]'
	@echo 'make check         all tests; parts: check-unit check-static check-fuzz check-vm [T=name]'
	@echo 'make check-drivers the modules build for the kernels of four Debian suites [KDIR=tree...: for those]'
	@echo 'make bench         Lodge and its peer side by side [NAME=word]'
	@echo 'make fuzz          search for inputs that break a parser [F=name] [SECONDS=60]'
	@echo 'make lint          clang-format, clang-tidy, cppcheck, shellcheck'
	@echo 'make deps          install the Debian packages that all this needs'
	@echo 'make install       [DESTDIR=] [PREFIX=/usr/local]'
	@echo 'make install-tools the same for what a guest needs'
	@echo 'make uninstall     what install made goes; so does uninstall-tools'
	@echo 'Variables: BUILD=folder, V=1, CFLAGS, CC'

clean:
	rm -rf $(BUILD)

.PHONY: all build san units fuzzers man deps check check-unit check-static check-fuzz check-vm \
	run-units run-static run-fuzzers run-lab run-vm demo bench fuzz lint install install-tools \
	uninstall uninstall-tools help clean
.SECONDARY:
-include $(shell find $(BUILD)/obj $(BUILD)/san $(BUILD)/threadobj $(BUILD)/fuzzobj -name '*.d' 2>/dev/null)
