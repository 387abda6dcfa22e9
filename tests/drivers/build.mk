# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of the kernel modules run in guests.
guest_progs += backdoor-client
backdoor-client_srcs := tests/vm/backdoor/client.c tests/vm/backdoor/client_hostile.c \
	tests/vm/backdoor/client_load.c

# Modules of the tests, beside those that they test.
.PHONY: test-modules
test-modules: modules
	@mkdir -p $(abs_build)/modules/test
	$(Q)cp -u tests/vm/kmod/Kbuild tests/vm/kmod/*.[ch] $(abs_build)/modules/test
	+$(Q)$(MAKE) --no-print-directory -s -C $(or $(KDIR),$(newest_kernel)) M=$(abs_build)/modules/test \
		DRIVERS=$(CURDIR)/guest-drivers PROTOCOL=$(CURDIR)/protocol \
		KBUILD_EXTRA_SYMBOLS=$(abs_build)/modules/$(call kernel_release,$(or $(KDIR),$(newest_kernel)))/Module.symvers modules
