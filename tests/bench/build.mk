# SPDX-License-Identifier: GPL-2.0-or-later
# What runs inside the guests of the benchmarks.
guest_progs += bench-init bench-echo fsbench
bench-init_srcs := tests/bench/init.c tests/bench/jobs.c tests/bench/fsjobs.c tests/bench/treejobs.c tests/bench/blkjobs.c \
	tests/bench/rpcjobs.c tests/bench/rpcports.c tests/bench/memjobs.c tests/bench/clockjobs.c tests/bench/displayjobs.c tests/vm/display/kms.c tests/lab/modules.c \
	protocol/lib/read_ahead.c
fsbench_srcs := tests/bench/fsbench.c tests/bench/jobs.c tests/bench/fsjobs.c tests/bench/treejobs.c
bench-echo_srcs := tests/bench/echo.c
