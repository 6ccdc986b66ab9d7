/* SPDX-License-Identifier: MIT */
/*
 * In:  a script.
 * Out: nothing left of it.
 * Never: leaves bytes that may be a key in memory.
 */
#include "net/script.h"

#include <stdlib.h>

void script_free(struct script *script)
{
	if (!script)
		return;
	buf_clear(&script->bytes);
	buf_clear(&script->tail);
	free(script);
}
