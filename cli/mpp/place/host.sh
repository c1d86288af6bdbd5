#!/bin/sh
# What a host does for the orchestrator. This text goes there with each command:
#
#     sh -c TEXT host.sh TAG RUN VERB [WORD]...
#
# The programs are in ~/.cache/mpp/TAG and stay there. All else is in its folder RUN: logs, and lists of
# what `end` has to undo. Each line is written before what it names is made.
set -eu
umask 077
PATH=$PATH:/usr/sbin:/sbin
programs=${XDG_CACHE_HOME:-$HOME/.cache}/mpp/$1
run=$programs/$2
verb=$3
shift 3
export run

fail()
{
	echo "$*" >&2
	exit 1
}

need_root()
{
	[ "$(id -u)" -eq 0 ] || fail "$* needs root there, and this is $(id -un)"
}

# ---- programs ----

# The sums of those of our programs that are there.
sums()
{
	cd "$programs" 2>/dev/null || exit 0
	sha256sum -- "$@" 2>/dev/null || true
}

begin()
{
	mkdir -p "$run"
	touch "$run/processes" "$run/shaped" "$run/cut" "$run/routes" "$run/settings"
}

# NAME, with its bytes as input. It is there whole and able to start, or not at all.
take()
{
	cat >"$run/$1"
	chmod 755 "$run/$1"
	"$run/$1" -V >/dev/null
	mv -f "$run/$1" "$programs/$1"
}

# ---- processes: named by pid and start time ----

# Of a pid whose process has not ended; nothing otherwise.
start_of()
{
	sed -n 's/.*) \([^XZ] \)/\1/p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

# NAME PROGRAM [ARGUMENT]...: says pid and start time. A program with a path need not be ours.
start()
{
	log=$run/$1.log
	case $2 in
	/*) program=$2 ;;
	*) program=$programs/$2 ;;
	esac
	shift 2
	# shellcheck disable=SC2016
	setsid sh -c 'echo "$$ $(sed "s/.*) //" /proc/$$/stat | cut -d " " -f 20)" |
			tee -a "$run/processes" >&3
		exec "$@" 3>&-' sh "$program" "$@" 3>&1 >"$log" 2>&1 </dev/null &
}

# Those of a list "PID START" that have not ended.
left()
{
	while read -r pid start; do
		[ -z "$start" ] || [ "$(start_of "$pid")" != "$start" ] || echo "$pid"
	done
}

alive()
{
	echo "$1 $2" | left
}

# FILE, a list. First they are asked to.
end_processes()
{
	for signal in TERM KILL; do
		tries=0
		while pids=$(left <"$1") && [ -n "$pids" ] && [ $tries -lt 200 ]; do
			# shellcheck disable=SC2086
			[ $tries -gt 0 ] || kill -s $signal $pids || true
			tries=$((tries + 1))
			sleep 0.01
		done
	done
	[ -z "$pids" ] || fail "these processes do not end:" "$pids"
}

# NAME PID START. Nobody needs the log of one that is told to end.
stop()
{
	echo "$2 $3" >"$run/stopping.$2"
	end_processes "$run/stopping.$2"
	rm -f "$run/stopping.$2" "$run/$1.log"
}

# NAME COUNT
log()
{
	tail -n "$2" "$run/$1.log"
}

# LIMIT_S WORD... What ends with 255 ends with 254: 255 is ssh's.
execute()
{
	code=0
	timeout "$@" || code=$?
	[ $code -ne 124 ] || fail "not done after $1 s"
	[ $code -ne 255 ] || code=254
	exit $code
}

# ---- interfaces ----

qdisc()
{
	tc qdisc show dev "$1" root | head -n 1
}

# DEVICE: it is ours to shape, when nobody else has.
claim()
{
	need_root "shaping $1"
	ip link show dev "$1" >/dev/null
	case $(qdisc "$1") in
	"" | "qdisc "*" 0: "*) echo "$1" >>"$run/shaped" ;;
	*) fail "$1 has a shape that is not ours: $(qdisc "$1")" ;;
	esac
}

unshape()
{
	case $(qdisc "$1" 2>/dev/null) in
	"qdisc tbf 1: "*) tc qdisc delete dev "$1" root ;;
	esac
}

# DEVICE. Not the one that this very command comes by.
cut_off()
{
	need_root "cutting $1"
	own=$(echo "${SSH_CONNECTION:-}" | cut -d ' ' -f 3)
	if [ -n "$own" ] && ip -o address show dev "$1" | grep -qF " ${own%%%*}/"; then
		fail "$1 cannot be cut: ssh comes by it"
	fi
	echo "$1" >>"$run/cut"
	ip link set "$1" down
}

join()
{
	need_root "joining $1"
	ip link set "$1" up
}

# ---- routes: by our protocol number, so that nobody else's is deleted ----

ROUTE_PROTOCOL=177

# FILE VALUE
set_setting()
{
	old=$(cat "$1")
	[ "$old" != "$2" ] || return 0
	echo "$1 $old" >>"$run/settings"
	echo "$2" >"$1"
}

# Forwards also what would not go back the way it came.
forward()
{
	need_root "forwarding"
	for setting in /proc/sys/net/ipv[46]/conf/all/forwarding; do
		set_setting "$setting" 1
	done
	for setting in /proc/sys/net/ipv4/conf/*/rp_filter; do
		[ "$(cat "$setting")" -ne 1 ] || set_setting "$setting" 0
	done
}

# ADDRESS VIA: it has this route of ours.
has_route()
{
	case $1 in
	*:*) family=-6 ;;
	*) family=-4 ;;
	esac
	[ -n "$(ip "$family" route show "$1" via "$2" proto $ROUTE_PROTOCOL)" ]
}

# [ADDRESS VIA]...: says each address that has a route of ours now. One that has another keeps it.
route()
{
	need_root "routing"
	while [ $# -gt 0 ]; do
		echo "$1 $2" >>"$run/routes"
		if said=$(ip route add "$1" via "$2" proto $ROUTE_PROTOCOL 2>&1); then
			echo "$1"
		else
			case $said in
			*"File exists"*) if has_route "$1" "$2"; then echo "$1"; fi ;;
			*) fail "$1 via $2: $said" ;;
			esac
		fi
		shift 2
	done
}

unroute()
{
	ip route delete "$1" via "$2" proto $ROUTE_PROTOCOL 2>/dev/null || true
}

# What has gone since has no setting.
unset_setting()
{
	[ ! -e "$1" ] || echo "$2" >"$1"
}

# ---- the end ----

# FILE COMMAND: for each line.
each()
{
	[ -e "$1" ] || return 0
	while read -r first second; do
		"$2" "$first" "$second"
	done <"$1"
}

end()
{
	[ -d "$run" ] || exit 0
	[ ! -e "$run/processes" ] || end_processes "$run/processes"
	each "$run/shaped" unshape
	each "$run/cut" join
	each "$run/routes" unroute
	each "$run/settings" unset_setting
	rm -r "$run"
}

"$verb" "$@"
