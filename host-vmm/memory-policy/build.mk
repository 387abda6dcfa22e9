# SPDX-License-Identifier: GPL-2.0-or-later
# Who decides how much memory a guest has: the rule, what it looks at, and the timer that acts.
vmm_srcs += $(addprefix host-vmm/memory-policy/, host.c policy.c steward.c table.c)


unit_tests += memory_policy
memory_policy_srcs := tests/unit/memory_policy.c $(addprefix host-vmm/memory-policy/, host.c policy.c table.c)
memory_policy_libs := proto
memory_policy_pkgs := check
