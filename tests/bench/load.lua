-- SPDX-License-Identifier: MIT
-- In: what to ask, from the environment. Out: one line of JSON at the end.
-- Must never do anything for each request: that would be measured too.

wrk.method = os.getenv("LOAD_METHOD")
wrk.headers["Metadata"] = "true"
if os.getenv("LOAD_CLOSE") == "1" then
	wrk.headers["Connection"] = "close"
end
local size = tonumber(os.getenv("LOAD_BODY"))
if size > 0 then
	wrk.body = string.rep("x", size)
end

function done(summary, latency)
	local e = summary.errors
	print(string.format(
		'{"requests": %d, "seconds": %.6f, "p50_us": %d, ' ..
		'"p99_us": %d, "refused": %d, "lost": %d}',
		summary.requests, summary.duration / 1e6,
		latency:percentile(50), latency:percentile(99), e.status,
		e.connect + e.read + e.write + e.timeout))
end
