#!/bin/sh
# SPDX-License-Identifier: MIT
#
# In: what "make install" and its like have put below STAGE. Out: Debian
# packages in OUT, the same bytes each time. Must never write outside of OUT,
# nor leave out a file that was installed.
#
#   build.sh STAGE OUT VERSION

set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
stage=$(cd "$1" && pwd)
out=$(cd "$2" && pwd)
version=$3
work=$out/work
export LC_ALL=C TZ=UTC

fail() {
	echo "$0: $*" >&2
	exit 1
}

packages() {
	sed -n 's/^Package: //p' "$here/control"
}

# The tools of Debian look for debian/control where they are.
prepare() {
	rm -rf "$work" "$out"/*.deb
	mkdir "$work"
	cp -r "$here" "$work/debian"
	cd "$work"
	debian=$(dpkg-parsechangelog -S Version)
	[ "${debian%-*}" = "$version" ] ||
		fail "changelog says $debian, version.h says $version"
	SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH-$(dpkg-parsechangelog \
		-S Timestamp)}
	export SOURCE_DATE_EPOCH
}

strip_stage() {
	find "$stage" -type f \( -path '*/bin/*' -o -path '*/sbin/*' \) \
		-exec strip --strip-all -R .comment -R .note {} +
	find "$stage" -name '*.so.*' -type f \
		-exec strip --strip-unneeded -R .comment -R .note {} + \
		-exec chmod 644 {} +
	find "$stage" -name '*.a' -exec strip -g -D {} +
	find "$stage/usr/share/man" -type f ! -name '*.gz' \
		-exec gzip -9n {} +
}

# $1: package
take_files() {
	while read -r pattern; do
		taken=
		# shellcheck disable=SC2231
		for file in "$stage"/$pattern; do
			# a link may point to what is taken already
			[ -e "$file" ] || [ -L "$file" ] ||
				fail "$1: no $pattern"
			name=${file#"$stage"/}
			mkdir -p "$work/$1/${name%/*}"
			mv "$file" "$work/$1/$name"
			taken=yes
		done
		[ "$taken" ] || fail "$1: no $pattern"
	done <"debian/$1.files"
}

# $1: package
add_documents() {
	doc=$work/$1/usr/share/doc/$1
	mkdir -p "$doc"
	install -m 644 debian/copyright "$doc"
	gzip -9nc debian/changelog >"$doc/changelog.Debian.gz"
}

# $1: package; what dpkg reads, but for control and md5sums
add_control() {
	mkdir -p "$work/$1/DEBIAN"
	for script in preinst postinst prerm postrm; do
		[ ! -f "debian/$1.$script" ] ||
			install -m 755 "debian/$1.$script" \
				"$work/$1/DEBIAN/$script"
	done
	[ ! -f "debian/$1.triggers" ] ||
		install -m 644 "debian/$1.triggers" "$work/$1/DEBIAN/triggers"
	if [ -d "$work/$1/etc" ]; then
		(cd "$work/$1" && find etc -type f | sort | sed 's|^|/|') \
			>"$work/$1/DEBIAN/conffiles"
	fi
	case $1 in
	lib*[0-9]) # no promise between two versions yet
		echo "${1%%[0-9]*} ${1##*[a-z]} $1 (= $debian)" \
			>"$work/$1/DEBIAN/shlibs"
		;;
	esac
}

# $1: package
find_libraries() {
	: >"$1.substvars"
	set -- "$1" $(find "$work/$1" -type f \( -path '*/bin/*' \
		-o -path '*/sbin/*' -o -name '*.so.*' \))
	[ $# -gt 1 ] || return 0
	package=$1
	shift
	dpkg-shlibdeps --warnings=1 -S"$work/libmsp0" -xlibmsp0 \
		-T"$package.substvars" "$@"
}

# $1: package
pack() {
	(cd "$work/$1" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' |
		sort -z | xargs -0 md5sum >DEBIAN/md5sums)
	find_libraries "$1"
	dpkg-gencontrol -p"$1" -P"$work/$1" -T"$1.substvars" -ffiles
	find "$work/$1" -depth -exec touch -hcd "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group -Zxz --build "$work/$1" "$out" >/dev/null
}

prepare
strip_stage
for package in $(packages); do
	take_files "$package"
done
left=$(find "$stage" ! -type d)
[ -z "$left" ] || fail "in no package: $left"
for package in $(packages); do
	add_documents "$package"
	add_control "$package"
done
for package in $(packages); do
	pack "$package"
done
rm -rf "$work"
