# SPDX-License-Identifier: GPL-2.0-or-later
# `make modules [KDIR=]`: the guest's kernel modules, in $(BUILD)/modules/VERSION. `make check-drivers`: they build
# without a warning for the kernel of every Debian suite; `make check-drivers KDIR="TREE..."`: for those trees alone.
.PHONY: modules check-drivers

newest_kernel = $(shell printf '%s\n' /lib/modules/*/build | sort -V | tail -n 1)
kernel_release = $(shell sed -n 's/^.define UTS_RELEASE "\(.*\)"/\1/p' '$(1)/include/generated/utsrelease.h')
modules_of = +$(Q)$(MAKE) --no-print-directory -C guest-drivers LODGE_VERSION='$(VERSION)' KDIR='$(1)' \
	OUT='$(abs_build)/modules/$(call kernel_release,$(1))' modules

modules:
	$(call modules_of,$(or $(KDIR),$(newest_kernel)))

check-drivers:
	$(ensure) tests
	$(Q)BUILD='$(abs_build)' tests/drivers/build-all $(KDIR:%=--tree '%')

man_pages += guest-drivers/lodge.4.scd
