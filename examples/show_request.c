/* SPDX-License-Identifier: MIT */
/*
 * In: a request to IMDS, as a proxy gets it: method and target.
 * Out: what it is compared, logged and forwarded as, and the status of its
 * answer if it is refused. Never: shows values of a query as something to log.
 *   show_request METHOD TARGET
 */
#include <err.h>
#include <msp/msp.h>
#include <stdio.h>
#include <string.h>

/* Of the answer to a request that no rules are asked about; 0: they are. */
static int refusal(const struct msp_request *request)
{
	struct msp_authority named;
	struct msp_address own;

	if (msp_request_refused(request))
		return 400;
	if (msp_request_form(request) != MSP_FORM_ABSOLUTE)
		return 0;
	if (!msp_request_authority(request, &named) ||
	    msp_endpoint_address(&own, MSP_ENDPOINT_IMDS) < 0)
		return 400;
	if (named.address.ip != own.ip || named.address.port != own.port)
		return 421;
	return 0;
}

static void show(const struct msp_request *request)
{
	static char text[3 * MSP_TARGET_MAX + 1];
	enum msp_canon code = msp_request_canon(request);
	const char *origin;
	size_t len;

	if (code == MSP_CANON_OK &&
	    msp_request_render(request, text, sizeof(text), &len) == 0)
		printf("compared as %.*s\n", (int)len, text);
	else
		printf("no rule matches: %s, %s\n", msp_canon_name(code),
		       msp_canon_text(code));
	msp_request_path_text(request, text, sizeof(text));
	printf("logged as %s %s\n", msp_request_method(request), text);
	origin = msp_request_origin(request, &len);
	if (origin)
		printf("forwarded as %.*s, %s\n", (int)len, origin,
		       msp_request_exempt(request) ? "unsigned" : "signed");
}

int main(int argc, char **argv)
{
	struct msp_request *request = NULL;
	int rc, status;

	if (argc != 3)
		errx(2, "usage: show_request METHOD TARGET");
	rc = msp_request_new(&request);
	if (rc == 0)
		rc = msp_request_set(request, argv[1], strlen(argv[1]), argv[2],
				     strlen(argv[2]));
	if (rc < 0)
		errx(1, "%s", msp_error_text(rc));
	status = refusal(request);
	if (status)
		printf("answered with %d, %s\n", status,
		       msp_canon_name(msp_request_canon(request)));
	else
		show(request);
	msp_request_free(request);
	return status ? 1 : 0;
}
