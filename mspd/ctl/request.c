/* SPDX-License-Identifier: MIT */
/*
 * In: a method and a URL. Out: a request as the agent would have it. Must
 * never take a request the agent refuses for one that the rules decide.
 */
#include "mspd/ctl/request.h"

#include <string.h>

bool ctl_request_set(struct msp_request *request, const char *method,
		     const char *url)
{
	int rc = msp_request_set(request, method, strlen(method), url,
				 strlen(url));

	if (rc == MSP_ERR_INVAL)
		ctl_fail("method and URL must not be empty");
	else if (rc == MSP_ERR_LIMIT)
		ctl_fail("method or URL is longer than %d bytes",
			 MSP_TARGET_MAX);
	else if (rc < 0)
		ctl_fail("%s", msp_error_text(rc));
	return rc == 0;
}

bool ctl_request_misdirected(const struct msp_request *request,
			     enum msp_endpoint endpoint)
{
	struct msp_authority named;
	struct msp_address to;

	return msp_request_authority(request, &named) &&
	       msp_endpoint_address(&to, endpoint) == 0 &&
	       (named.address.ip != to.ip || named.address.port != to.port);
}
