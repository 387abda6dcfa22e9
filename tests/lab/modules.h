/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The modules of an initramfs that make-initramfs made, for the inits in them. */
#ifndef LODGE_TESTS_LAB_MODULES_H
#define LODGE_TESTS_LAB_MODULES_H

#define LAB_MODULES_LIST    "/lab.modules"
#define LAB_MODULE_PATH_MAX 256

/*
 * Loads those that list names, one file on each line, in that order. /proc must be mounted. One
 * that is loaded already is fine. On failure a negative errno, and ret_name says which.
 */
int load_modules(const char *list, char ret_name[LAB_MODULE_PATH_MAX]);

#endif
