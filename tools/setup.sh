#!/bin/bash
# Installs from the distribution's packages (Debian 12, Ubuntu 22.04 or later) what is missing
# for a purpose: tools/setup.sh demo|check|bench|dev. Silent and quick when all is there. It
# starts no service, restarts none, and leaves none behind that would start at the next boot.
set -euo pipefail

build="make gcc libc6-dev pkg-config libuv1-dev libconfig-dev libjansson-dev
	libhttp-parser-dev libssl-dev liburing-dev"
run="python3 python3-scipy iproute2 iputils-ping procps nginx curl"
demo="$build $run"
check="$demo python3-networkx libcmocka-dev socat iperf3 redis-server redis-tools ethtool mininet
	nftables openssh-server openssh-client"
bench="$check haproxy libnginx-mod-stream mptcpize ncat"
dev="$check clang clang-tidy clang-format cppcheck shellcheck"

policy=/usr/sbin/policy-rc.d
log=

fail()
{
	echo "setup.sh: $*" >&2
	exit 1
}

is_installed()
{
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

missing_of()
{
	local package
	for package in "$@"; do
		is_installed "$package" || echo "$package"
	done
}

clean_up()
{
	[ -z "$log" ] || rm -f "$log"
	if [ -f "$policy" ] && grep -q 'made by mpp setup.sh' "$policy"; then
		rm -f "$policy"
	fi
}

# Packages ask this script before they start, stop or restart a service. An administrator's own
# script stays in force.
forbid_services()
{
	[ ! -e "$policy" ] || return 0
	printf '#!/bin/sh\n# made by mpp setup.sh, gone when it ends\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

# Services of packages that are new here stay off at boot too.
disable_new_services()
{
	local package
	command -v systemctl >/dev/null || return 0
	for package in "$@"; do
		case $package in
		nginx | redis-server | haproxy | iperf3)
			systemctl --quiet disable "$package" >/dev/null 2>&1 || true
			;;
		openssh-server) systemctl --quiet disable ssh >/dev/null 2>&1 || true ;;
		esac
	done
}

apt_get()
{
	DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get -q -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1
}

install_packages()
{
	log=$(mktemp)
	trap clean_up EXIT
	forbid_services
	# Lists may be old or absent; without a network what is in the cache has to do.
	apt_get update || echo "setup.sh: apt-get update failed, going on with the lists that are here"
	if ! apt_get install --yes --no-install-recommends "$@"; then
		tail -n 15 "$log" >&2
		fail "apt-get install failed (its last lines are above): $*"
	fi
	disable_new_services "$@"
}

main()
{
	local purpose=${1-} wanted missing
	case $purpose in
	demo) wanted=$demo ;;
	check) wanted=$check ;;
	bench) wanted=$bench ;;
	dev) wanted=$dev ;;
	*) fail "argument '$purpose': expected demo, check, bench or dev" ;;
	esac
	# Lists of words: split on purpose.
	# shellcheck disable=SC2086
	set -- $wanted
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		fail "no apt here; install the equivalents of: $*"
	fi
	mapfile -t missing < <(missing_of "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null ||
			fail "run as root, or install sudo; missing: ${missing[*]}"
		exec sudo -- "$0" "$purpose"
	fi
	echo "setup.sh: installing for $purpose: ${missing[*]}"
	install_packages "${missing[@]}"
}

main "$@"
