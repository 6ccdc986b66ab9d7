/* SPDX-License-Identifier: MIT */
/*
 * In: nothing. Out: the version this library was built as.
 */
#include <msp/version.h>

const char *msp_version(void)
{
	return MSP_VERSION;
}
