# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-files, which lodged starts for each transfer of files.
progs += lodge-files
lodge-files_srcs := $(addprefix guest-daemon/files/, \
	below.c file.c input.c jail.c main.c tar_get.c tar_put.c)
lodge-files_libs := pack proto
lodge-files_pkgs := libarchive libseccomp

unit_tests += files_jail
files_jail_srcs := tests/unit/files_jail.c guest-daemon/files/jail.c
files_jail_pkgs := check libseccomp
# Its limit of memory is less than what the sanitizers map.
files_jail_ldflags := -Wl,--wrap=setrlimit
