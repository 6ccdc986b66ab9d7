#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# In: a build directory. Out: whether the examples do what they say. Must
# never need root or a network.

set -u

export LD_LIBRARY_PATH=$1
BIN=$1/examples
passed=0 failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# claim NAME EXPECTED-STATUS EXPECTED-OUTPUT COMMAND...
claim() {
	local name=$1 status=$2 expected=$3 out rc
	shift 3
	out=$("$@" 2>&1 </dev/null)
	rc=$?
	if [ "$rc" -eq "$status" ] && [ "$out" = "$expected" ]; then
		passed=$((passed + 1))
		[ -z "${V-}" ] || echo "  ok      $name"
		return
	fi
	failed=$((failed + 1))
	printf '  FAILED  %s\n  status %s, expected %s\n  out: %s\n' \
		"$name" "$rc" "$status" "$out"
}

cat >"$dir/key" <<'END'
{ "authorizationScheme": "Azure-HMAC-SHA256", "incarnationId": 1,
  "guid": "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf",
  "issued": "2021-05-05T 12:00:00Z",
  "key": "4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59" }
END
echo '{ "guid": 7 }' >"$dir/bad-key"
cat >"$dir/profile" <<'END'
{ "id": "x", "mode": "enforce", "defaultAccess": "deny", "rules": {
  "privileges": [ { "name": "p", "path": "/metadata/instance" } ],
  "roles": [ { "name": "r", "privileges": ["p"] } ],
  "identities": [ { "name": "i", "userName": "alice" } ],
  "roleAssignments": [ { "role": "r", "identities": ["i"] } ] } }
END

cat >"$dir/template" <<'END'
{ "resources": [ { "name": "gallery/profile/1.0.0",
  "type": "Microsoft.Compute/galleries/inVMAccessControlProfiles/versions",
  "properties": { "mode": "Enforce", "defaultAccess": "Allow",
    "note": "" } } ] }
END
cat >"$dir/faults" <<'END'
{ "rules": { "privileges": [ { "name": "p", "path": " " } ],
  "roles": [ { "name": "r", "privileges": ["q"] } ] } }
END

# The worked example of the protocol's description.
claim sign_request_reproduces_the_worked_example 0 \
	"x-ms-azure-host-authorization: Azure-HMAC-SHA256 9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf 13750084151509ba36adee0b633c8438723d6799434e4c90ec2dc95983c8f323" \
	"$BIN/sign_request" "$dir/key" GET \
	'/metadata/instance?api-version=2021-02-01&format=json' \
	'Accept:*/*' 'Host:169.254.169.254' 'Metadata:true' \
	'User-Agent:curl/8.5.0' 'x-ms-azure-host-claims:{ "isRoot": "false"}' \
	'x-ms-azure-host-date:Wed, 23 Apr 2025 12:00:00 GMT'
claim check_profile_grants 0 "allow: granted, privilege p, identity i" \
	"$BIN/check_profile" "$dir/profile" alice '/metadata/instance/x?y=z'
claim check_profile_denies_another_user 1 \
	"deny: no-identity, privilege p, identity -" \
	"$BIN/check_profile" "$dir/profile" bob /metadata/instance
claim check_profile_denies_by_default 1 \
	"deny: default-deny, privilege -, identity -" \
	"$BIN/check_profile" "$dir/profile" alice /metadata/instances
claim check_profile_denies_what_is_ambiguous 1 \
	"deny: CANON_PCT, privilege -, identity -" \
	"$BIN/check_profile" "$dir/profile" alice /metadata/%zz
claim check_profile_reads_a_template 0 \
	"$dir/template:4:5: warning: /resources/0/properties/note: is not known: ignored
allow: default-allow, privilege -, identity -" \
	"$BIN/check_profile" "$dir/template" alice /metadata/instance
claim check_profile_says_all_that_is_wrong 1 \
	"$dir/faults:1:53: error: /rules/privileges/0/path: privilege 'p' path cannot be empty
$dir/faults:2:14: warning: /rules/roles/0: is never assigned
$dir/faults:2:44: error: /rules/roles/0/privileges/0: role 'r' references unknown privilege 'q'" \
	"$BIN/check_profile" "$dir/faults" alice /metadata/instance

out=$("$BIN/sign_request" "$dir/bad-key" GET / 2>&1)
if [ $? -eq 1 ] && [[ $out == *bad-key* ]]; then
	passed=$((passed + 1))
else
	failed=$((failed + 1))
	echo "  FAILED  sign_request_refuses_a_bad_key: $out"
fi
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
