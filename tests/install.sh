#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# In: a build directory. Out: whether "make install" makes something that
# others can build against, shared and static, "make install-tools" adds what
# testers need, and the goals that undo them take away all of it and nothing
# else. Must never write outside its own directory, nor need root.

set -u

BUILD=$(cd "$1" && pwd) || exit 1
# The options of the make that runs us are not those of a user.
unset MAKEFLAGS MFLAGS MAKELEVEL PREFIX LIBDIR INCLUDEDIR BINDIR SBINDIR MANDIR
passed=0 failed=0 skipped=0
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
	for file in "$dir"/src/man/*.3; do
		file=${file##*/}
		cmp -s "$dir/src/man/$file" "$at/share/man/man3/$file" ||
			{ echo "no $file"; missing=1; }
	done
	return $missing
}

# Also one that shares its page with another: man follows what stands for it.
man_finds_each_call() {
	local at=$root$prefix/share/man names found
	names=$(sed -n 's/^\t\(msp_[a-z0-9_]*\);$/\1/p' \
		"$dir/src/libmsp/libmsp.map")
	# shellcheck disable=SC2086
	found=$(man -M "$at" -w $names) || return 1
	[ "$(wc -l <<<"$found")" -ge 100 ] &&
		[ "$(wc -l <<<"$found")" = "$(wc -l <<<"$names")" ] ||
		{ echo "found: $found"; return 1; }
	grep -q '^\.so ' "$at/man3/msp_key_free.3" &&
		man -M "$at" msp_key_free </dev/null | grep '^ *msp_key_free('
}

try_man() {
	if command -v man >/dev/null; then
		claim "$1_man_finds_each_call" man_finds_each_call
	else
		skipped=$((skipped + 1))
		echo "  SKIPPED $1_man_finds_each_call: there is no man"
	fi
}

# What pkg-config says is all a stranger knows: neither our headers nor our
# build directory are in reach.
flags() {
	PKG_CONFIG_PATH="$root$libdir/pkgconfig" \
		PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
		PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config "$@" libmsp
}

# Who links the library need not link what it is made of.
flags_of_shared_are_those_of_libmsp_alone() {
	local seen want="-I$root$prefix/include -L$root$libdir -lmsp"
	seen=$(flags --libs) || return 1
	[ "$(flags --cflags-only-I | grep -oE -- "-I$root$prefix/include( |$)")" ] &&
		[ "$(echo $seen)" = "-L$root$libdir -lmsp" ] ||
		{ echo "pkg-config says: $seen, not: $want"; return 1; }
}

flags_of_static_have_what_it_is_made_of() {
	local seen lib missing=0
	seen=" $(flags --static --libs) " || return 1
	for lib in msp crypto 'yajl(_s)?' bpf elf z; do
		[[ $seen =~ \ -l$lib\  ]] ||
			{ echo "no $lib in:$seen"; missing=1; }
	done
	return $missing
}

# $1: folder, $2: option of both compiler and pkg-config
build_examples() {
	local source said
	# shellcheck disable=SC2086
	said=$(flags ${2:+-$2} --cflags --libs) || return 1
	mkdir "$dir/$1"
	for source in "$dir"/source/*.c; do
		# shellcheck disable=SC2086
		(cd "$dir/$1" && ${CC:-cc} -Wall -Wextra -Werror $2 \
			-o "$(basename "$source" .c)" "$source" $said) ||
			return 1
	done
}

examples_need_libmsp_alone() {
	local needed
	needed=$(for program in "$dir"/shared/*; do
		readelf -d "$program"
	done | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | sort -u |
		grep -v '^libc\.')
	[ "$needed" = libmsp.so.0 ] || { echo "$needed"; return 1; }
}

run_shared() {
	python3 tests/examples.py "$BUILD" "$dir/shared" "$root$libdir"
}

run_static() {
	LD_LIBRARY_PATH='' python3 tests/examples.py "$BUILD" "$dir/static"
}

# Of the libraries that libmsp is made of, those that cannot be linked into a
# program.
missing_archives() {
	local lib
	for lib in crypto yajl_s bpf elf z; do
		[ -e "$(${CC:-cc} -print-file-name=lib$lib.a)" ] ||
			echo "lib$lib.a"
	done
}

try_static() {
	local missing
	missing=$(missing_archives)
	if [ -n "$missing" ]; then
		skipped=$((skipped + 1))
		echo "  SKIPPED $1_static: there is no" $missing
		return
	fi
	claim "$1_examples_build_static" build_examples static -static
	claim "$1_static_examples_run" run_static
}

# So much does who embeds it ship.
SIZE_MAX=300000

library_is_small() {
	local size
	strip -o "$dir/stripped" "$root$libdir"/libmsp.so.*.*.* || return 1
	size=$(stat -c %s "$dir/stripped")
	echo "  libmsp.so, stripped: $size bytes" >&3
	[ "$size" -lt $SIZE_MAX ] ||
		{ echo "$size bytes, more than $SIZE_MAX"; return 1; }
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
	rm -rf "$dir/source" "$dir/shared" "$dir/static"
	mkdir "$dir/source"
	cp examples/*.c "$dir/source"
	claim "${name}_install" run_make install
	claim "${name}_everything_is_there" everything_is_there
	try_man "$name"
	claim "${name}_flags_of_shared_are_those_of_libmsp_alone" \
		flags_of_shared_are_those_of_libmsp_alone
	claim "${name}_flags_of_static_have_what_it_is_made_of" \
		flags_of_static_have_what_it_is_made_of
	claim "${name}_examples_build_by_pkg_config_alone" \
		build_examples shared ""
	claim "${name}_examples_need_libmsp_alone" examples_need_libmsp_alone
	claim "${name}_examples_run" run_shared
	try_static "$name"
	claim "${name}_library_is_small" library_is_small
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

exec 3>&1
copy_source
before=$(source_list)
# One after the other: the second must not get the first one's libmsp.pc.
try usr "$dir/root" /usr
try opt "$dir/root" /opt/msp /opt/msp/lib64
try no_destdir "" "$dir/home"
claim source_tree_is_still_clean source_is_as_it_was
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
