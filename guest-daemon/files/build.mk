# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-files, which lodged starts for each transfer of files.
progs += lodge-files
lodge-files_srcs := $(addprefix guest-daemon/files/, \
	below.c file.c input.c jail.c main.c tar_get.c tar_put.c)
lodge-files_libs := pack proto
lodge-files_pkgs := libarchive libseccomp
