#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# In: a build directory. Out: whether "make install" makes something that
# others can build against, "make install-tools" adds what testers need, and
# the goals that undo them take away all of it and nothing else. Must never
# write outside its own directory, nor need root.

set -u

BUILD=$(cd "$1" && pwd) || exit 1
# The options of the make that runs us are not those of a user.
unset MAKEFLAGS MFLAGS MAKELEVEL PREFIX LIBDIR INCLUDEDIR BINDIR SBINDIR MANDIR
passed=0 failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# claim NAME COMMAND...
claim() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
		[ -z "${V-}" ] || echo "  ok      $name"
	else
		failed=$((failed + 1))
		printf '  FAILED  %s\n%s\n' "$name" "$out"
	fi
}

# A copy, so that what somebody edits meanwhile does not look like our doing.
copy_source() {
	mkdir "$dir/src"
	tar -c --exclude=./.git --exclude='./build*' --exclude=__pycache__ . |
		tar -x -C "$dir/src"
}

source_list() {
	(cd "$dir/src" && find . -type f -exec sha256sum {} + | sort -k 2)
}

# $1 goal; root, prefix and lib are the case's
run_make() {
	make -C "$dir/src" O="$BUILD" DESTDIR="$root" PREFIX="$prefix" \
		${lib:+LIBDIR="$lib"} "$1"
}

installed() {
	(cd "$root$prefix" && find . ! -type d | sort)
}

everything_is_there() {
	local at=$root$prefix file missing=0
	for file in sbin/mspd bin/mspctl share/man/man3/libmsp.3 \
		share/man/man5/mspd.conf.5 share/man/man8/mspd.8 \
		share/man/man8/mspctl.8 share/man/man8/azure-proxy-agent.8 \
		"${libdir#"$prefix"/}/libmsp.a" \
		"${libdir#"$prefix"/}/pkgconfig/libmsp.pc"; do
		[ -f "$at/$file" ] || { echo "no $file"; missing=1; }
	done
	for file in include/msp/*.h; do
		cmp -s "$file" "$at/$file" || { echo "no $file"; missing=1; }
	done
	return $missing
}

# What pkg-config says is all a stranger knows: neither our headers nor our
# build directory are in reach.
build_example() {
	local flags
	flags=$(PKG_CONFIG_PATH="$root$libdir/pkgconfig" \
		PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
		PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
		pkg-config --cflags --libs libmsp) || return 1
	case $flags in
	*"-I$root$prefix/include"*"-L$root$libdir"*) ;;
	*)
		echo "pkg-config says: $flags"
		return 1
		;;
	esac
	# shellcheck disable=SC2086
	(cd "$dir/user" && ${CC:-cc} -std=c11 -Wall -Wextra -Werror \
		-D_GNU_SOURCE -o sign_request sign_request.c $flags)
}

# The worked example of the protocol's description.
run_example() {
	LD_LIBRARY_PATH=$root$libdir "$dir/user/sign_request" \
		"$dir/user/key" GET \
		'/metadata/instance?api-version=2021-02-01&format=json' \
		'Accept:*/*' 'Host:169.254.169.254' 'Metadata:true' \
		'User-Agent:curl/8.5.0' \
		'x-ms-azure-host-claims:{ "isRoot": "false"}' \
		'x-ms-azure-host-date:Wed, 23 Apr 2025 12:00:00 GMT' \
		</dev/null 2>&1 |
		grep -F 13750084151509ba36adee0b633c8438723d6799434e4c90ec2dc95983c8f323
}

versions_agree() {
	local version
	version=$(PKG_CONFIG_PATH="$root$libdir/pkgconfig" \
		pkg-config --modversion libmsp) || return 1
	export LD_LIBRARY_PATH=$root$libdir
	[ "$("$root$prefix/sbin/mspd" --version)" = "$version" ] &&
		[ "$("$root$prefix/bin/mspctl" --version)" = \
			"mspctl $version" ]
}

# An agent is installed without the host it is tested with.
no_tools_are_there() {
	local found
	found=$(installed | grep msp-host)
	[ -z "$found" ] || { echo "$found"; return 1; }
}

tools_are_there() {
	local at=$root$prefix page missing=0
	export LD_LIBRARY_PATH=$root$libdir
	[ "$("$at/bin/msp-host" --version)" = "msp-host $("$at/sbin/mspd" \
		--version)" ] || { echo "no msp-host"; missing=1; }
	for page in man/msp-host*.[1-9]; do
		cmp -s "$page" "$at/share/man/man${page##*.}/${page##*/}" ||
			{ echo "no $page"; missing=1; }
	done
	return $missing
}

only_the_agent_is_left() {
	diff <(echo "$agent") <(installed)
}

# Files of others, where ours are.
plant() {
	local at=$root$prefix
	mkdir -p "$at/share/man/man8" "$at/sbin" "$root$libdir/pkgconfig"
	touch "$at/share/man/man8/other.8" "$at/sbin/other" \
		"$root$libdir/libother.so" "$root$libdir/pkgconfig/other.pc"
}

only_others_are_left() {
	local left
	left=$(installed)
	[ "$left" = "$others" ] || { echo "$left"; return 1; }
}

# try NAME DESTDIR PREFIX [LIBDIR]
try() {
	local name=$1 root=$2 prefix=$3 lib=${4-} libdir others agent
	libdir=${lib:-$prefix/lib}
	plant
	others=$(installed)
	rm -rf "$dir/user"
	mkdir "$dir/user"
	cp examples/sign_request.c "$dir/user"
	cat >"$dir/user/key" <<-'END'
	{ "authorizationScheme": "Azure-HMAC-SHA256", "incarnationId": 1,
	  "guid": "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf",
	  "issued": "2021-05-05T 12:00:00Z",
	  "key": "4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59" }
	END
	claim "${name}_install" run_make install
	claim "${name}_everything_is_there" everything_is_there
	claim "${name}_example_builds_by_pkg_config_alone" build_example
	claim "${name}_example_runs" run_example
	claim "${name}_versions_agree" versions_agree
	claim "${name}_no_tools_are_there" no_tools_are_there
	agent=$(installed)
	claim "${name}_install_tools" run_make install-tools
	claim "${name}_tools_are_there" tools_are_there
	claim "${name}_uninstall_tools" run_make uninstall-tools
	claim "${name}_only_the_agent_is_left" only_the_agent_is_left
	claim "${name}_uninstall" run_make uninstall
	claim "${name}_only_what_is_not_ours_is_left" only_others_are_left
}

source_is_as_it_was() {
	diff <(echo "$before") <(source_list)
}

copy_source
before=$(source_list)
# One after the other: the second must not get the first one's libmsp.pc.
try usr "$dir/root" /usr
try opt "$dir/root" /opt/msp /opt/msp/lib64
try no_destdir "" "$dir/home"
claim source_tree_is_still_clean source_is_as_it_was
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
