# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that scenarios run in their guests.
guest_progs += vmports
vmports_srcs := tests/vm/backdoor/vmports.c

guest_progs += backdoor-flood
backdoor-flood_srcs := tests/vm/backdoor/flood.c
