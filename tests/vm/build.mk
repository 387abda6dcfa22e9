# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that scenarios run in their guests.
guest_progs += vmports
vmports_srcs := tests/vm/backdoor/vmports.c

guest_progs += backdoor-flood
backdoor-flood_srcs := tests/vm/backdoor/flood.c

# The test card: drawn in the guest, compared on the host.
guest_progs += card-draw
card-draw_srcs := tests/vm/display/card-draw.c tests/vm/display/kms.c
guest_progs += card-check
card-check_srcs := tests/vm/display/card-check.c
card-check_ldflags := -lpng -lz -lm
guest_progs += card-x
card-x_srcs := tests/vm/display/card-x.c
# The X library could look names up, which linkers warn of in a static program; it need not here.
card-x_ldflags := -lxcb -lXau -lXdmcp -lpng -lz -lm $(if $(findstring no-warnings,$(shell ld --help)),-Xlinker --no-warnings)

# What a mode setting driver must do.
guest_progs += kms-check
kms-check_srcs := tests/vm/display/kms-check.c
guest_progs += kms-lifetimes
kms-lifetimes_srcs := tests/vm/display/kms-lifetimes.c tests/vm/display/kms.c

# Clocks, looked at from both sides of a VM.
guest_progs += clock-check
clock-check_srcs := tests/vm/clock/clock-check.c
