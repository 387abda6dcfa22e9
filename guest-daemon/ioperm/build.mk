# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-ioperm, which opens VMware's I/O ports to a program.
guest_progs += lodge-ioperm
lodge-ioperm_srcs := guest-daemon/ioperm/main.c
