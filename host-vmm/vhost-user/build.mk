# SPDX-License-Identifier: GPL-2.0-or-later
# vhost-user front end: devices whose queues another process serves.
vmm_srcs += \
	host-vmm/vhost-user/frontend.c \
	host-vmm/vhost-user/inflight.c \
	host-vmm/vhost-user/wire.c
