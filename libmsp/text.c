/* SPDX-License-Identifier: MIT */
/*
 * In: a text that the library allocated. Out: nothing. Must never be given a
 * text that is borrowed.
 */
#include <msp/text.h>

#include "libmsp/mem.h"

void msp_text_free(char *text)
{
	msp_mem_free(text);
}
