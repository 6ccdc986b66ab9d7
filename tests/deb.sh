#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# In: the directory that "make deb" has filled. Out: whether the packages hold
# what an image expects of Azure's agent, and install, upgrade, go away and
# leave what is not theirs, in a root directory of their own. Must never need a
# network, nor touch the machine's packages. tests/package/ has whole systems to
# try them on.

set -u

DEBS=$(cd "$1" && pwd) || exit 1
if [ "$(id -u)" -ne 0 ] && [ -z "${DEB_IN_NAMESPACE-}" ]; then
	# files of root are all that is needed of root
	DEB_IN_NAMESPACE=1 exec unshare --user --map-root-user "$0" "$1"
fi
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C
VERSION=$(sed -n 's/.*MSP_VERSION "\(.*\)".*/\1/p' include/msp/version.h)
ARCH=$(dpkg --print-architecture)
COMPAT=azure-proxy-agent-compat
CONFIG=etc/azure/proxy-agent.json
UNIT=usr/lib/systemd/system/azure-proxy-agent.service
ENABLED=etc/systemd/system/multi-user.target.wants/azure-proxy-agent.service
STATE="var/lib/azure-proxy-agent/keys/a.key var/log/azure-proxy-agent/a.log"
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

# skip NAME WHY
skip() {
	skipped=$((skipped + 1))
	echo "  SKIPPED $1: $2"
}

# $1: package; path of its file
deb() {
	echo "$DEBS/$1_$VERSION-"*"_$ARCH.deb"
}

field() {
	dpkg-deb -f "$(deb "$1")" "$2"
}

# ---- what is in them --------------------------------------------------------

# Of a package with faults it says so, or its silence would tell nothing.
lintian_finds_no_error() {
	! lintian --fail-on error "$dir/azures.deb" >/dev/null 2>&1 ||
		{ echo "lintian finds no error in anything"; return 1; }
	lintian --fail-on error "$DEBS"/*.deb
}

# Mode, owner and path, as Azure's package has them.
azures_places_are_taken() {
	diff - <(dpkg-deb -c "$(deb $COMPAT)" | awk '/^[^d]/ { print $1, $2, $6 }' |
		grep -v /usr/share/doc/) <<-'END'
	-rw-r--r-- root/root ./etc/azure/proxy-agent.json
	-rw-r--r-- root/root ./usr/lib/systemd/system/azure-proxy-agent.service
	-rwxr-xr-x root/root ./usr/sbin/azure-proxy-agent
	-rw-r--r-- root/root ./usr/share/man/man8/azure-proxy-agent.8.gz
	END
}

# Who builds a program needs them all; an agent's machine needs none.
pages_of_calls_are_in_the_development_package() {
	diff <(cd man && ls -- *.3) <(for package in "${PACKAGES[@]}"; do
		dpkg-deb -c "$(deb "$package")" |
			sed -n "s|.*/man3/\(..*\)\.gz$|$package \1|p"
	done | sort | sed 's/^libmsp-dev //')
}

nothing_is_writable_by_others_or_not_roots() {
	local package bad
	for package in "${PACKAGES[@]}"; do
		bad=$(dpkg-deb -c "$(deb "$package")" |
			grep -Ev '^(l|.rwxr-xr-x |.rw-r--r-- )' ||
			dpkg-deb -c "$(deb "$package")" | grep -v ' root/root ')
		[ -z "$bad" ] || { echo "$package: $bad"; return 1; }
	done
}

configurations_are_conffiles() {
	local package
	for package in "${PACKAGES[@]}"; do
		diff <(dpkg-deb -c "$(deb "$package")" |
			sed -n '/^-/s|.* \./etc/|/etc/|p') \
			<(dpkg-deb -I "$(deb "$package")" conffiles 2>&1 |
			grep ^/) || { echo "in $package"; return 1; }
	done
}

# One of the two can be installed, and whoever asks for Azure's is content.
it_is_azures_agent_to_others() {
	local name
	for name in Provides Conflicts Replaces; do
		[ "$(field $COMPAT $name)" = azure-proxy-agent ] ||
			{ echo "$name: $(field $COMPAT $name)"; return 1; }
	done
}

every_library_is_depended_on() {
	local package file name
	for package in libmsp0 mspd $COMPAT msp-host; do
		while read -r name; do
			[[ ", $(field "$package" Depends)" == *", $name ("* ]] ||
				{ echo "$package: no $name"; return 1; }
		done < <(for file in "$dir/$package"/usr/{sbin,bin,lib/*}/*; do
			[ ! -f "$file" ] || objdump -p "$file" 2>/dev/null
		done | sed -n 's/^ *NEEDED *//p' | sort -u | library_packages)
	done
}

# sonames; what Debian's own list says of them
library_packages() {
	local soname
	while read -r soname; do
		case $soname in
		libmsp.so.0) echo libmsp0 ;;
		libc.so.6) echo libc6 ;;
		*)
			dpkg -S "*/$soname" | sed 's/[:,].*//' | sort -u |
				head -n 1
			;;
		esac
	done
}

versions_are_that_of_the_source() {
	local package
	for package in "${PACKAGES[@]}"; do
		[ -f "$(deb "$package")" ] && [ "$(field "$package" \
			Version)" = "$VERSION-1" ] ||
			{ echo "$package: $(field "$package" Version)"; return 1; }
	done
}

# The extension, and whoever builds an image, compare this very output.
azures_name_says_the_version_and_nothing_else() {
	diff <(echo "$VERSION") <(LD_LIBRARY_PATH=$(echo "$dir"/libmsp0/usr/lib/*) \
		"$dir/$COMPAT/usr/sbin/azure-proxy-agent" --version)
}

shipped_configurations_are_json() {
	local file
	for file in "$dir/$COMPAT/$CONFIG" "$dir/mspd/etc/mspd/mspd.json"; do
		python3 -m json.tool "$file" >/dev/null || return 1
	done
}

# ---- units ------------------------------------------------------------------

# $1: package, $2: unit; a machine that has the programs and nothing else
unit_is_well_formed() {
	local root=$dir/machine out
	mkdir -p "$root"
	cp -a "$dir/$1/usr" "$root"
	out=$(systemd-analyze verify --man=no --root="$root" "$2" 2>&1 |
		grep -F "${2%.service}")
	[ -z "$out" ] || { echo "$out"; return 1; }
}

# $1: package, $2: unit
unit_is_hardened() {
	systemd-analyze security --no-pager --offline=yes --threshold=25 \
		"$dir/$1/usr/lib/systemd/system/$2"
}

# $@: groups; the system calls in them, also in groups of groups
group_calls() {
	local group word
	for group in "$@"; do
		while read -r word; do
			case $word in
			@*) group_calls "$word" ;;
			*) echo "$word" ;;
			esac
		done < <(systemd-analyze syscall-filter "$group" |
			sed -n 's/^  *\([@a-z][-a-z0-9_]*\)$/\1/p')
	done
}

# What the filter takes away fails quietly, long after the start. The agent can
# do without the two that are named: the unit sets the limits.
unit_allows_what_is_called() {
	local unit=$dir/$COMPAT/$UNIT refused
	group_calls @privileged | grep -qx chroot || return 1
	refused=$(comm -12 <(group_calls $(sed -n \
		's/^SystemCallFilter=~//p' "$unit" | grep -o '@[a-z]*') |
		sort -u) <(nm -D --undefined-only "$dir/$COMPAT/usr/sbin"/* \
		"$dir"/libmsp0/usr/lib/*/*.so.* | awk '{ print $2 }' |
		sed 's/@.*//; s/64$//' | sort -u) |
		grep -vxE "$(sed -n 's/^SystemCallFilter=\([a-z].*\)/\1/p' \
			"$unit" | tr ' ' '|')|setrlimit")
	[ -z "$refused" ] || { echo "$refused"; return 1; }
}

# $1: package, $2: unit, the rest: lines, or what they begin with
unit_says() {
	local file=$dir/$1/usr/lib/systemd/system/$2 line
	shift 2
	for line in "$@"; do
		awk -v line="$line " 'index($0 " ", line) == 1 { found = 1 }
			END { exit !found }' "$file" ||
			{ echo "no $line"; return 1; }
	done
}

# ---- a machine --------------------------------------------------------------

# Scripts run outside of the root and find it in DPKG_ROOT: there is no shell in
# it. Nobody is there to be asked.
dpkg_in_root() {
	dpkg --root="$root" --log=/dev/null --force-script-chrootless \
		--force-not-root --force-unsafe-io "$@" </dev/null >"$dir/dpkg.out" 2>&1 ||
		{ cat "$dir/dpkg.out"; return 1; }
}

# $@: packages, or files
put() {
	local file files=()
	for file in "$@"; do
		case $file in
		/*) files+=("$file") ;;
		*) files+=("$(deb "$file")") ;;
		esac
	done
	dpkg_in_root --force-depends -i "${files[@]}"
}

new_root() {
	root=$dir/root
	rm -rf "$root"
	mkdir -p "$root/var/lib/dpkg/"{info,updates,triggers}
	: >"$root/var/lib/dpkg/status"
	mkdir -p "$root/run"
}

# All but what dpkg keeps for itself.
left() {
	(cd "$root" && find . -path ./var/lib/dpkg -prune -o ! -type d -print)
}

write_state() {
	local file
	for file in $STATE; do
		mkdir -p "$root/${file%/*}"
		echo state >"$root/$file"
	done
}

state_is_there() {
	local file
	for file in $STATE; do
		[ -f "$root/$file" ] || { echo "no $file"; return 1; }
	done
}

# A later version, made of the package. $1: package, $2...: change to its files,
# run in its root
later() {
	local package=$1 work=$dir/later
	shift
	rm -rf "$work"
	dpkg-deb -R "$(deb "$package")" "$work"
	sed -i 's/^Version: .*/Version: 99-1/; s/(= [^)]*)/(>= 0)/g' \
		"$work/DEBIAN/control"
	(cd "$work" && "$@") && dpkg-deb -b "$work" "$dir/$package.deb" >/dev/null
}

edit_config() {
	sed -i 's/"Info"/"Debug"/' "$root/$CONFIG"
}

config_is_edited() {
	grep -q '"Debug"' "$root/$CONFIG" || { cat "$root/$CONFIG"; return 1; }
}

# What Azure's package looks like from outside: its configuration is no
# conffile, and prerm deletes what is dpkg's to delete.
make_azures() {
	local work=$dir/azures
	mkdir -p "$work/DEBIAN" "$work/usr/sbin" "$work/etc/azure" \
		"$work/usr/lib/systemd/system"
	printf '%s\n' 'Package: azure-proxy-agent' 'Version: 1.0.39-0' \
		"Architecture: $ARCH" 'Maintainer: somebody <a@example.com>' \
		'Description: the agent of somebody else' >"$work/DEBIAN/control"
	printf '%s\n' '#!/bin/sh' 'rm -f "$DPKG_ROOT/usr/sbin/azure-proxy-agent"' \
		>"$work/DEBIAN/prerm"
	chmod 755 "$work/DEBIAN/prerm"
	echo somebody >"$work/usr/sbin/azure-proxy-agent"
	echo somebody >"$work/$UNIT"
	sed 's/"Info"/"Debug"/' mspd/proxy-agent.json >"$work/$CONFIG"
	dpkg-deb -b "$work" "$dir/azures.deb" >/dev/null
}

# ---- what an owner would notice ---------------------------------------------

install_enables_one_service() {
	new_root
	put libmsp0 mspd $COMPAT || return 1
	[ -L "$root/$ENABLED" ] || { left; return 1; }
	! left | grep wants/mspd || { left; return 1; }
}

upgrade_keeps_an_edited_configuration() {
	new_root
	put libmsp0 mspd $COMPAT && edit_config || return 1
	later $COMPAT true && put "$dir/$COMPAT.deb" || return 1
	config_is_edited
}

upgrade_offers_a_new_configuration_beside_an_edited_one() {
	new_root
	put libmsp0 mspd $COMPAT && edit_config || return 1
	later $COMPAT sed -i 's/15/16/' $CONFIG || return 1
	dpkg_in_root --force-depends --force-confdef --force-confold \
		-i "$dir/$COMPAT.deb" || return 1
	config_is_edited && grep -q 16 "$root/$CONFIG.dpkg-dist"
}

upgrade_does_not_enable_what_was_disabled() {
	new_root
	put libmsp0 mspd $COMPAT || return 1
	rm "$root/$ENABLED"
	later $COMPAT true && put "$dir/$COMPAT.deb" || return 1
	[ ! -e "$root/$ENABLED" ] && [ ! -L "$root/$ENABLED" ]
}

configuration_of_azures_agent_stays_in_force() {
	new_root
	mkdir -p "$root/etc/azure"
	cp mspd/proxy-agent.json "$root/$CONFIG"
	edit_config
	put libmsp0 mspd $COMPAT && config_is_edited || return 1
	[ "$(ls "$root/etc/azure")" = proxy-agent.json ] ||
		{ ls "$root/etc/azure"; return 1; }
}

remove_leaves_configuration_keys_and_logs() {
	new_root
	put libmsp0 mspd $COMPAT && edit_config && write_state || return 1
	dpkg_in_root --remove $COMPAT && config_is_edited && state_is_there &&
		[ ! -e "$root/usr/sbin/azure-proxy-agent" ] || return 1
	# and comes back as it was
	put $COMPAT && config_is_edited && state_is_there
}

purge_leaves_nothing() {
	new_root
	put "${PACKAGES[@]}" && edit_config && write_state || return 1
	dpkg_in_root --purge "${PACKAGES[@]}" || return 1
	[ -z "$(left)" ] || { left; return 1; }
	[ ! -e "$root/var/lib/azure-proxy-agent" ] &&
		[ ! -e "$root/var/log/azure-proxy-agent" ] &&
		[ ! -e "$root/etc/azure" ]
}

# The keys are the machine's, whichever agent uses them.
purge_spares_the_keys_of_another_agent() {
	new_root
	put libmsp0 mspd $COMPAT && write_state &&
		dpkg_in_root --remove $COMPAT mspd && put "$dir/azures.deb" &&
		dpkg_in_root --purge $COMPAT mspd && state_is_there
}

azures_package_gives_way() {
	new_root
	put "$dir/azures.deb" && write_state && put libmsp0 mspd $COMPAT || return 1
	! grep -q 'Package: azure-proxy-agent$' "$root/var/lib/dpkg/status" ||
		grep -A1 'Package: azure-proxy-agent$' "$root/var/lib/dpkg/status" |
		grep -q 'deinstall' || { cat "$root/var/lib/dpkg/status"; return 1; }
	cmp "$root/usr/sbin/azure-proxy-agent" \
		"$dir/$COMPAT/usr/sbin/azure-proxy-agent" && state_is_there &&
		config_is_edited
}

azures_package_takes_over_again() {
	new_root
	put libmsp0 mspd $COMPAT && write_state || return 1
	! put "$dir/azures.deb" >/dev/null || { echo "both at once"; return 1; }
	dpkg_in_root --remove $COMPAT && put "$dir/azures.deb" && state_is_there
}

mapfile -t PACKAGES < <(sed -n 's/^Package: //p' mspd/debian/control)
for package in "${PACKAGES[@]}"; do
	dpkg-deb -x "$(deb "$package")" "$dir/$package"
done
make_azures
if command -v lintian >/dev/null; then
	claim lintian_finds_no_error lintian_finds_no_error
else
	skip lintian_finds_no_error "no lintian here"
fi
claim azures_places_are_taken azures_places_are_taken
claim pages_of_calls_are_in_the_development_package \
	pages_of_calls_are_in_the_development_package
claim nothing_is_writable_by_others_or_not_roots \
	nothing_is_writable_by_others_or_not_roots
claim configurations_are_conffiles configurations_are_conffiles
claim it_is_azures_agent_to_others it_is_azures_agent_to_others
claim every_library_is_depended_on every_library_is_depended_on
claim versions_are_that_of_the_source versions_are_that_of_the_source
claim azures_name_says_the_version_and_nothing_else \
	azures_name_says_the_version_and_nothing_else
claim shipped_configurations_are_json shipped_configurations_are_json
for pair in "$COMPAT azure-proxy-agent.service" "mspd mspd.service"; do
	read -r package unit <<<"$pair"
	claim "$unit: well-formed" unit_is_well_formed "$package" "$unit"
	claim "$unit: exposure of 2.5 or better" unit_is_hardened "$package" \
		"$unit"
	claim "$unit: ready and watched" unit_says "$package" "$unit" \
		Type=notify WatchdogSec=60s
	claim "$unit: no storm of restarts for a wrong configuration" \
		unit_says "$package" "$unit" RestartPreventExitStatus=78
	claim "$unit: there before the network" unit_says "$package" "$unit" \
		DefaultDependencies=no After=local-fs.target \
		'Before=network-pre.target shutdown.target'
done
claim unit_allows_what_is_called unit_allows_what_is_called
claim azures_program_is_started unit_says $COMPAT azure-proxy-agent.service \
	ExecStart=/usr/sbin/azure-proxy-agent WantedBy=multi-user.target
claim our_program_is_started unit_says mspd mspd.service \
	'ExecStart=/usr/sbin/mspd --config /etc/mspd/mspd.json'
# which needs an order, too: one ends before the other begins
claim neither_runs_beside_the_other unit_says mspd mspd.service \
	'Conflicts=shutdown.target azure-proxy-agent.service' \
	'Before=network-pre.target shutdown.target azure-proxy-agent.service'
claim nor_the_other_way_round unit_says $COMPAT azure-proxy-agent.service \
	'Conflicts=shutdown.target mspd.service' \
	'After=local-fs.target mspd.service'
for case in install_enables_one_service upgrade_keeps_an_edited_configuration \
	upgrade_offers_a_new_configuration_beside_an_edited_one \
	upgrade_does_not_enable_what_was_disabled \
	configuration_of_azures_agent_stays_in_force \
	remove_leaves_configuration_keys_and_logs purge_leaves_nothing \
	purge_spares_the_keys_of_another_agent azures_package_gives_way \
	azures_package_takes_over_again; do
	claim "$case" "$case"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
