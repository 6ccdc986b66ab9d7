/* SPDX-License-Identifier: MIT */
/*
 * text.h - texts that the library hands over.
 */
#ifndef MSP_TEXT_H
#define MSP_TEXT_H

#include <msp/defs.h>

MSP_BEGIN_DECLS

/**
 * msp_text_free - free a text that a call handed over as owned
 * @text: NULL is fine
 * Threads: the one that owns it.
 */
MSP_API void msp_text_free(char *text);

MSP_END_DECLS

#endif
