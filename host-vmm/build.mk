# SPDX-License-Identifier: GPL-2.0-or-later
# The monitor. Everything but main() is the library "vmm", so that tests and fuzzers link it; the
# folders below add their sources to it.
libs += vmm
vmm_srcs +=
vmm_pkgs += glib-2.0 json-glib-1.0 liburing libseccomp
