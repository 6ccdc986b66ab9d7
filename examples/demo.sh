#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# In: a build directory, root. Out: the whole path on screen - an unmodified
# curl, redirected by eBPF, identified, authorized, signed, verified by the
# host. Must never touch what the machine really uses, nor leave anything.
#
# Everything happens in a network namespace, a cgroup and a directory of its
# own; the two Azure addresses exist only in that namespace.

set -u

IMDS=169.254.169.254
WIRESERVER=168.63.129.16
CONTROL=127.0.0.1:3081
INSTANCE="http://$IMDS/metadata/instance?api-version=2021-02-01"
TOKEN="http://$IMDS/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/"
GOALSTATE="http://$WIRESERVER/machine?comp=goalstate"
# Users every Linux machine has: nothing needs to be created.
ROOT=0 DAEMON=1 NOBODY=65534
# No user has it as its own number: who takes a gid for a uid is found out.
GROUP=65533

die() {
	echo "demo: $*" >&2
	exit 1
}

[ "$(id -u)" -eq 0 ] || die "needs root, to load eBPF programs"
if [ "${1-}" != --inside ]; then
	exec unshare --net -- "$0" --inside "${1-build}"
fi
BUILD=$(cd "$2" && pwd) || exit 1
PATH=$PATH:/usr/sbin:/sbin
export LD_LIBRARY_PATH=$BUILD

mspd_pid='' cgroup='' dir=''
rows=0 wrong=0

stop() {
	kill -"$1" "$2" 2>/dev/null
	wait "$2" 2>/dev/null
}

cleanup() {
	local pid
	trap '' INT TERM HUP
	for pid in $(jobs -p); do
		stop KILL "$pid"
	done
	if [ -n "$cgroup" ] && [ -d "$cgroup" ]; then
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			rmdir "$cgroup" 2>/dev/null && break
			xargs -r kill -9 <"$cgroup/cgroup.procs" 2>/dev/null
			sleep 0.1
		done
	fi
	[ -n "$dir" ] && rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# True once the command succeeds; tried for five seconds.
wait_for() {
	for _ in $(seq 100); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	return 1
}

make_world() {
	local mount
	mount=$(awk '{ for (i = 6; i < NF; i++)
			if ($i == "-" && $(i + 1) == "cgroup2") {
				print $5; exit } }' /proc/self/mountinfo)
	[ -n "$mount" ] || die "no cgroup v2 file system is mounted"
	dir=$(mktemp -d) || exit 1
	cgroup=$mount/msp-demo-$$
	mkdir "$cgroup" || die "cannot make a cgroup"
	ip link set lo up || die "cannot bring up lo"
	ip addr add "$IMDS/32" dev lo && ip addr add "$WIRESERVER/32" dev lo ||
		die "cannot add the addresses to lo"
}

write_files() {
	cat >"$dir/imds.json" <<-'END'
	{
	  "id": "demo-imds", "mode": "enforce", "defaultAccess": "deny",
	  "rules": {
	    "privileges": [
	      { "name": "instance", "path": "/metadata/instance" },
	      { "name": "token", "path": "/metadata/identity" } ],
	    "roles": [
	      { "name": "reader", "privileges": ["instance"] },
	      { "name": "owner", "privileges": ["instance", "token"] } ],
	    "identities": [
	      { "name": "the-daemon", "userName": "daemon" },
	      { "name": "root", "userName": "root" } ],
	    "roleAssignments": [
	      { "role": "reader", "identities": ["the-daemon"] },
	      { "role": "owner", "identities": ["root"] } ]
	  }
	}
	END
	cat >"$dir/mspd.json" <<-END
	{
	  "logFolder": "$dir/log", "eventFolder": "$dir/events",
	  "latchKeyFolder": "$dir/keys", "statusFolder": "$dir/status",
	  "consolePath": "",
	  "runFolder": "$dir/run",
	  "monitorIntervalInSeconds": 60, "pollKeyStatusIntervalInSeconds": 1,
	  "ebpfProgramName": "ebpf_cgroup.o", "cgroupPath": "$cgroup",
	  "fileLogLevel": "Info"
	}
	END
}

start_host() {
	"$BUILD/examples/msp-host/msp-host" --disabled \
		--wireserver $WIRESERVER:80 --hostga $WIRESERVER:32526 \
		--imds $IMDS:80 --control $CONTROL \
		--profile imds="$dir/imds.json" --mode wireserver=Enforce \
		--log "$dir/host.log" >"$dir/host.out" 2>&1 &
	wait_for grep -q '^msp-host: ready' "$dir/host.out" ||
		{ cat "$dir/host.out"; die "msp-host did not start"; }
}

start_mspd() {
	(
		echo $BASHPID >"$cgroup/cgroup.procs"
		exec "$BUILD/mspd/mspd" --config "$dir/mspd.json" --foreground
	) >>"$dir/mspd.out" 2>&1 &
	mspd_pid=$!
}

# curl as a user, inside or outside of the cgroup; prints the HTTP status.
ask() {
	local where=$1 uid=$2 url=$3
	(
		if [ "$where" = inside ]; then
			echo $BASHPID >"$cgroup/cgroup.procs"
		fi
		exec env -i PATH="$PATH" setpriv --reuid="$uid" --regid=$GROUP \
			--clear-groups curl -s -m 5 -o /dev/null \
			-w '%{http_code}' -H Metadata:true \
			-H x-ms-version:2012-11-30 "$url"
	)
}

redirected() {
	(
		echo $BASHPID >"$cgroup/cgroup.procs"
		exec env -i PATH="$PATH" curl -s -m 2 -i -H Metadata:true \
			"$INSTANCE"
	) | grep -qi '^x-ms-azure-host-authorization:'
}

# What the host's log says of the requests since line $1 of it.
host_says() {
	sed -n "$(($1 + 1)),\$p" "$dir/host.log" | grep -Ev '/secure-channel/| Control ' |
		awk '{ print $NF }' | tail -n 1
}

# A killed mspd leaves either nobody to talk to, or a host that says no.
matches() {
	if [ "$2" = "401 or refused" ]; then
		[ "$1" = "401 unsigned" ] || [ "$1" = refused ]
	else
		[ "$1" = "$2" ]
	fi
}

# row TEXT EXPECTED WHERE UID URL
row() {
	local text=$1 expected=$2 lines status host seen ok=no
	lines=$(wc -l <"$dir/host.log")
	status=$(ask "$3" "$4" "$5")
	host=$(host_says "$lines")
	seen="$status ${host:-not-asked}"
	[ "$status" = 000 ] && seen="refused"
	if matches "$seen" "$expected"; then
		ok=yes
	else
		wrong=$((wrong + 1))
	fi
	rows=$((rows + 1))
	print_row "$text" "$expected" "$seen" "$ok"
}

print_row() {
	printf '%-44s | %-14s | %-14s | %s\n' "$@"
}

key_guid() {
	curl -s -m 2 "http://$CONTROL/state" |
		sed -n 's/.*"guid" *: *"\([^"]*\)".*/\1/p'
}

reused() {
	local before=$1 ok=no seen='another key'
	if [ -n "$before" ] && [ "$before" = "$(key_guid)" ] &&
		grep -qs 'Found key details from local' \
			"$dir/log/ProxyAgent.log"; then
		ok=yes seen='same key'
	else
		wrong=$((wrong + 1))
	fi
	rows=$((rows + 1))
	print_row "   its key was re-used from disk" "same key" "$seen" "$ok"
}

main() {
	local guid
	make_world
	write_files
	start_host
	start_mspd
	wait_for grep -q '/secure-channel/status" 200' "$dir/host.log" ||
		{ cat "$dir/mspd.out"; die "mspd does not poll the host"; }

	echo "The profile of IMDS, as its owner gave it to the host:"
	echo
	cat "$dir/imds.json"
	echo
	echo "Seen: HTTP status the client got, and what the host found."
	echo
	print_row "row" "expected" "seen" "ok"
	printf -- '%.0s-' $(seq 84)
	echo
	row "before the latch, root" "200 unsigned" inside $ROOT "$INSTANCE"

	curl -s -m 2 -o /dev/null -X POST "http://$CONTROL/channel?enabled=true"
	wait_for redirected ||
		{ tail "$dir/mspd.out"; die "mspd did not latch a key"; }
	row "root" "200 verified" inside $ROOT "$INSTANCE"
	row "root, a token" "200 verified" inside $ROOT "$TOKEN"
	row "daemon, allowed to read the instance" "200 verified" \
		inside $DAEMON "$INSTANCE"
	row "daemon, a token" "403 not-asked" inside $DAEMON "$TOKEN"
	row "nobody" "403 not-asked" inside $NOBODY "$INSTANCE"
	row "root, WireServer" "200 verified" inside $ROOT "$GOALSTATE"
	row "nobody, WireServer" "403 not-asked" inside $NOBODY "$GOALSTATE"
	row "root, outside the cgroup" "401 unsigned" outside $ROOT "$INSTANCE"

	guid=$(key_guid)
	stop KILL "$mspd_pid"
	row "mspd killed, root" "401 or refused" inside $ROOT "$INSTANCE"

	start_mspd
	wait_for redirected
	row "mspd restarted, root" "200 verified" inside $ROOT "$INSTANCE"
	reused "$guid"
	stop TERM "$mspd_pid"
	echo
	echo "$((rows - wrong)) of $rows rows as expected"
	[ "$wrong" -eq 0 ]
}

main
