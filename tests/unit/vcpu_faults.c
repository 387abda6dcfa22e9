// SPDX-License-Identifier: GPL-2.0-or-later
// The count of page faults that led to nothing, from figures as KVM keeps them.
#include <check.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vmm/vcpu_faults.h"
#include "tests/unit/unit.h"

static struct vcpu_faults with(const uint64_t values[VCPU_FAULTS_KINDS])
{
	struct vcpu_faults faults = { .fd = memfd_create("statistics", MFD_CLOEXEC) };

	ck_assert_int_ge(faults.fd, 0);
	for (size_t i = 0; i < VCPU_FAULTS_KINDS; i++) {
		faults.offsets[i] = 8 * (i + 1);
		ck_assert_int_eq(pwrite(faults.fd, &values[i], 8, (off_t)faults.offsets[i]), 8);
	}
	return faults;
}

START_TEST(taken_less_resolved)
{
	struct vcpu_faults faults = with((uint64_t[]){ 1000, 900, 20, 10, 5 });

	ck_assert_uint_eq(vcpu_faults_count(&faults), 65);
	/* A kernel that has no such figure. */
	faults.offsets[4] = 0;
	ck_assert_uint_eq(vcpu_faults_count(&faults), 70);
	vcpu_faults_close(&faults);
	ck_assert_uint_eq(vcpu_faults_count(&faults), 0);
}
END_TEST

START_TEST(read_at_different_times)
{
	struct vcpu_faults faults = with((uint64_t[]){ 1000, 1001, 0, 0, 7 });

	ck_assert_uint_eq(vcpu_faults_count(&faults), 0);
	ck_assert_int_eq(ftruncate(faults.fd, 10), 0);
	ck_assert_uint_eq(vcpu_faults_count(&faults), 0);
	vcpu_faults_close(&faults);
}
END_TEST

START_TEST(no_statistics)
{
	struct vcpu_faults faults;

	vcpu_faults_open(&faults, -1);
	ck_assert_int_eq(faults.fd, -1);
	ck_assert_uint_eq(vcpu_faults_count(&faults), 0);
	vcpu_faults_close(&faults);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vcpu_faults");
	TCase *tcase = tcase_create("faults");

	tcase_add_test(tcase, taken_less_resolved);
	tcase_add_test(tcase, read_at_different_times);
	tcase_add_test(tcase, no_statistics);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
