/* SPDX-License-Identifier: MIT */
/*
 * version.h - the one place where the version is written; the Makefile reads
 * it and refuses to build if libmsp.map disagrees.
 */
#ifndef MSP_VERSION_H
#define MSP_VERSION_H

#include <msp/defs.h>

#define MSP_VERSION_MAJOR 0
#define MSP_VERSION_MINOR 1
#define MSP_VERSION_PATCH 0
#define MSP_VERSION "0.1.0"

MSP_BEGIN_DECLS

/**
 * msp_version - version of the library that is running, "MAJOR.MINOR.PATCH"
 *
 * May differ from MSP_VERSION, which is the header the caller was built with.
 * Threads: any. Returns a constant.
 */
MSP_API const char *msp_version(void);

MSP_END_DECLS

#endif
