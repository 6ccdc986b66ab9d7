/* SPDX-License-Identifier: MIT */
/*
 * unchain.h - records of an audit trail without their place in its chain.
 */
#ifndef TESTS_LIB_UNCHAIN_H
#define TESTS_LIB_UNCHAIN_H

/* The same text, in which each line had one; or the test fails. */
char *unchain(char *lines);

#endif
