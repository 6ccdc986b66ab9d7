#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# In: a build for arm64, its libraries, a folder. Out: in the folder, for each
# program of the build a script of that name that runs it under qemu-aarch64.
# Must never need an entry in binfmt_misc, which is the whole machine's.
#
#   emulated.sh BUILD SYSROOT FOLDER PROGRAM...

set -eu

build=$(realpath -s "$1")
sysroot=$(realpath -s "$2")
folder=$3
libraries=$build
for at in lib usr/lib; do
	libraries=$libraries:$sysroot/$at/aarch64-linux-gnu
done
shift 3

rm -rf "$folder"
for program in "$@"; do
	path=$(realpath -s "$program")
	script=$folder/${path#"$build"/}
	mkdir -p "${script%/*}"
	# Not with -L: that would show the program another "/". The libraries
	# that a caller names are ours, not the emulator's.
	cat >"$script" <<-END
	#!/bin/sh
	unset LD_LIBRARY_PATH
	exec qemu-aarch64 '$sysroot/lib/ld-linux-aarch64.so.1' \\
		--library-path '$libraries' '$path' "\$@"
	END
	chmod 755 "$script"
done
