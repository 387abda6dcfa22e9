# SPDX-License-Identifier: GPL-2.0-or-later
# The lab: its process 1, the pump beside QEMU, the measure of its clock, and a meter of what exits cost in it.
guest_progs += lab-init lab-pump lab-tsc lab-exits
lab-init_srcs := tests/lab/init.c tests/lab/init-mounts.c tests/lab/modules.c tests/lab/stream.c
lab-pump_srcs := tests/lab/pump.c tests/lab/pump-job.c tests/lab/stream.c
lab-tsc_srcs := tests/lab/tsc.c
lab-exits_srcs := tests/lab/exits.c
