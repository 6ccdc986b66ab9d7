/* SPDX-License-Identifier: MIT */
/*
 * keyhost.h - a host that says what the test has on its mind, and a latch that
 * asks it, in time that the test passes in.
 */
#ifndef MSP_TEST_KEYHOST_H
#define MSP_TEST_KEYHOST_H

#include <msp/latch.h>

#include "tests/lib/fakehost.h"

#define WALL   1000000000 /* Sun, 09 Sep 2001 01:46:40 GMT */
#define GUID_A "aaaaaaaa-0316-4ad3-94a7-8ccbdee8ccbf"
#define GUID_B "bbbbbbbb-0316-4ad3-94a7-8ccbdee8ccbf"
#define GUID_C "cccccccc-0316-4ad3-94a7-8ccbdee8ccbf"
#define KEY_HEX                                                                \
	"4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59"

#define HEAD "HTTP/1.1 200 OK\r\nDate: Wed, 23 Apr 2025 12:00:00 GMT\r\n\r\n"
#define STATUS(guid, state)                                                    \
	HEAD "{\"authorizationScheme\": \"Azure-HMAC-SHA256\", "               \
	     "\"keyDeliveryMethod\": \"http\", \"keyGuid\": " guid ", "        \
	     "\"secureChannelState\": \"" state "\", \"version\": \"1.0\"}"
#define ENABLED(guid)  STATUS("\"" guid "\"", "WireserverAndImds")
#define ENABLED_NO_KEY STATUS("null", "WireserverAndImds")
#define DISABLED(guid) STATUS("\"" guid "\"", "Disabled")
#define KEY(guid)                                                              \
	HEAD "{\"authorizationScheme\": \"Azure-HMAC-SHA256\", \"guid\": "     \
	     "\"" guid                                                         \
	     "\", \"issued\": \"2021-05-05T 12:00:00Z\", \"key\": \"" KEY_HEX  \
	     "\"}"
#define KEY_OF(guid, incarnation)                                              \
	HEAD "{\"authorizationScheme\": \"Azure-HMAC-SHA256\", \"guid\": "     \
	     "\"" guid "\", \"incarnationId\": " incarnation                   \
	     ", \"issued\": \"2021-05-05T 12:00:00Z\", \"key\": \"" KEY_HEX    \
	     "\"}"
#define REFUSED "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
#define HANGS	NULL

#define FOUND	 "Found key details from local and ready to use."
#define ATTESTED "Successfully attest the key and ready to use."
#define OFF	 "Customer has not enforce the secure channel state."

/* What the host says now, and how often it was asked. */
struct mind {
	const char *status;
	const char *key;
	const char *attest;
	unsigned int n_status;
	unsigned int n_key;
	unsigned int n_attest;
	char date[64]; /* of the last request */
};

extern struct mind mind;
extern struct fakehost host;
extern struct msp_channel *channel;
extern struct msp_keystore *store;
extern struct msp_latch *latch;
extern char dir[64]; /* of the store */

/* A fixture: all of the above is there in between. */
void setup(void);
void teardown(void);
/* Another latch, with nothing but what is on disk. */
void restart(bool with_store);
struct msp_time at(uint64_t boot_ms);
/* Until the latch waits for its next poll, or for a host that hangs. */
int drive(uint64_t now);
/* A latch with the key that the host gives, A, attested at time 0. */
void latch_acquired_a(void);
/* The same with KEY(GUID_A). */
void latch_a(void);

void check_asked(unsigned int n_status, unsigned int n_key,
		 unsigned int n_attest);
/* guid NULL: no key; message: what it begins with */
void check_latch(enum msp_latch_state state, const char *guid,
		 const char *message);
bool on_disk(const char *guid);
/* of the files in the store's directory */
unsigned int count_files(void);

#endif
