#!/bin/bash
# Runs a command with the system limits that a million connections need: raises those that are
# lower, says each change, and puts everything back when the command ends, however it ends (but by
# SIGKILL). Nothing is ever lowered. The exit code is the command's. Of two at the same time the
# second waits for the first: it would put back what the first one has set. One that is started by
# another's command finds the limits raised.
#
#	sudo tools/limits.sh bin/echo_server --model event
#	sudo tools/limits.sh bash			a shell to try things in
#
# Open files are those of one process, and stay at what the hard limit allows: the echo suite goes
# on in further processes by itself.
set -uo pipefail

# sysctl, least value, what for
limits="fs.file-max 4194304 open files of the whole machine: a socket at each end of a connection
fs.nr_open 1048576 open files of a process, at most
fs.epoll.max_user_watches 4194304 sockets that processes watch by epoll: each end of a connection
kernel.pid_max 4194304 processes and threads: one for each connection
kernel.threads-max 524288 the same
vm.max_map_count 1048576 pieces of memory of a process: two for each thread's stack
net.core.somaxconn 16384 connections that wait to be accepted
net.ipv4.tcp_max_syn_backlog 16384 connections that are being made
net.netfilter.nf_conntrack_max 4194304 connections that a firewall follows, if there is one"
ports_first=1024 ports_last=65535 # port range of one source address, but those that listen
tasks_wanted=131072 # processes and threads of a control group: 40,000 at each end, and the rest
changed=()
child=    # the command
is_begun= # it runs
ending=   # exit code, when a signal came

say()
{
	echo "limits.sh: $*" >&2
}

# What follows starts no subshells: a signal to the whole group, as Ctrl-C is, would end them, and we
# would take nothing for the value that is to be put back.

# path_of SYSCTL|FILE: sets `path`
path_of()
{
	path=/proc/sys/${1//.//}
	[ "${1#/}" = "$1" ] || path=$1
}

# value_of SYSCTL|FILE: sets `value`, with one blank between numbers; false: there is none
value_of()
{
	value=
	path_of "$1"
	[ -r "$path" ] && read -r value <"$path"
	value=${value//$'\t'/ }
	[ -n "$value" ]
}

# set_limit NAME VALUE WHAT-FOR
set_limit()
{
	local old
	value_of "$1" || return
	old=$value
	changed+=("$1=$old")
	if { echo "$2" >"$path"; } 2>/dev/null; then
		value_of "$1"
		say "$1: $old -> $value ($3)"
	else
		unset 'changed[-1]'
		say "$1 stays at $old, it cannot be set here ($3)"
	fi
}

raise_all()
{
	local name least why first last
	while read -r name least why; do
		value_of "$name" || continue
		[ "$value" -ge "$least" ] || set_limit "$name" "$least" "$why"
	done <<<"$limits"
	value_of net.ipv4.ip_local_port_range
	read -r first last <<<"$value"
	[ $((last - first)) -ge $((ports_last - ports_first)) ] ||
		set_limit net.ipv4.ip_local_port_range "$ports_first $ports_last" \
			"connections from one source address"
	raise_own "open files" -n 1048576
	raise_own "processes" -u unlimited
	raise_tasks
}

# is_less A B: numbers or "unlimited"
is_less()
{
	[ "$1" != unlimited ] && { [ "$2" = unlimited ] || [ "$1" -lt "$2" ]; }
}

# own_limit WHAT: sets `soft` and `hard`; false: they cannot be told
own_limit()
{
	local line
	soft='' hard=''
	while read -r line; do
		case $line in
		"Max $1 "*) read -r soft hard _ <<<"${line#"Max $1"}" ;;
		esac
	done <"/proc/$$/limits"
	[ -n "$hard" ]
}

# raise_own WHAT OPTION-OF-ULIMIT WANTED: of this process and what it starts; nothing to put back.
raise_own()
{
	local before
	own_limit "$1" || return
	before=$soft
	! is_less "$hard" "$3" || ulimit -H "$2" "$3" 2>/dev/null
	ulimit -S "$2" hard
	own_limit "$1" || return
	[ "$before" = "$hard" ] || say "$1: $before -> $hard (this command)"
	! is_less "$hard" "$3" || say "$1: at most $hard here"
}

# Each control group above us (version 2, or the controller "pids" of version 1) may have a limit.
raise_tasks()
{
	local line folder root
	while read -r line; do
		case $line in
		0::*) root=/sys/fs/cgroup ;;
		*:pids:*) root=/sys/fs/cgroup/pids ;;
		*) continue ;;
		esac
		folder=${line#*:*:}
		while [ -n "${folder#/}" ]; do
			if value_of "$root$folder/pids.max" && [ "$value" != max ] &&
				[ "$value" -lt "$tasks_wanted" ]; then
				set_limit "$path" "$tasks_wanted" \
					"processes and threads of this control group"
			fi
			folder=${folder%/*}
		done
	done </proc/self/cgroup
}

# shellcheck disable=SC2317 # a trap calls it
put_back()
{
	local i name old
	for ((i = ${#changed[@]} - 1; i >= 0; i--)); do
		name=${changed[i]%%=*} old=${changed[i]#*=}
		path_of "$name"
		if { echo "$old" >"$path"; } 2>/dev/null; then
			say "$name: back to $old"
		else
			say "$name: could not be put back to $old"
		fi
	done
}

# on_signal NAME EXIT-CODE: TERM and HUP go on to the command; INT and QUIT the terminal has told it,
# too, and it decides what they mean. Before it has begun all four end us. A trap that starts a
# process spoils the answer of the wait that it comes in.
# shellcheck disable=SC2317 # traps call it
on_signal()
{
	ending=$2
	case $is_begun$1 in
	yesTERM | yesHUP) kill -TERM "$child" 2>/dev/null ;;
	esac
}

# Between fork and exec the child is still a copy of us, for which a signal is a trap that nobody
# runs any more.
wait_for_exec()
{
	while cmp -s "/proc/$$/cmdline" "/proc/$child/cmdline"; do
		sleep .01
	done
}

# Whatever signals come meanwhile. Sets `code`.
wait_for_child()
{
	while :; do
		wait "$child"
		kill -0 "$child" 2>/dev/null || break
	done
	# The first answer may have been of a signal to us, when the child ended at the same time.
	wait "$child"
	code=$?
	# And bash forgets the child's when it looks for it in that moment.
	[ "$code" != 255 ] || code=${ending:-255}
}

# The lock is ours as long as we live.
wait_for_turn()
{
	local folder=/run
	exec {lock}</dev/null
	[ -z "${LIMITS_SH_IS_HELD:-}" ] || return
	[ -w "$folder" ] || folder=/tmp
	if ! { exec {lock}>>"$folder/limits.sh.lock"; } 2>/dev/null; then
		say "$folder/limits.sh.lock cannot be opened: two at the same time are not prevented"
		return
	fi
	flock -n "$lock" && return
	say "another one has raised the limits; waiting until it has put them back"
	until flock -w .2 "$lock"; do
		[ -z "$ending" ] || return
	done
}

if [ $# -eq 0 ]; then
	sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
	exit 2
fi
trap '' PIPE # who reads what we say may be gone: we put back all the same
trap 'on_signal HUP 129' HUP
trap 'on_signal INT 130' INT
trap 'on_signal QUIT 131' QUIT
trap 'on_signal TERM 143' TERM
wait_for_turn
[ -z "$ending" ] || exit "$ending"
trap put_back EXIT
raise_all
[ -z "$ending" ] || exit "$ending"
export LIMITS_SH_IS_HELD=yes
# What runs in the background ignores SIGINT unless it is told not to. It does not get the lock:
# some child of it may live longer than we.
env --default-signal=INT,QUIT,PIPE "$@" <&0 {lock}>&- &
child=$!
wait_for_exec
is_begun=yes
early=$ending
[ -z "$early" ] || kill -TERM "$child" 2>/dev/null
wait_for_child
is_begun=
exit "${early:-$code}"
