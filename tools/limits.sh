#!/bin/bash
# Runs a command with the system limits that a million connections need: raises those that are
# lower, says each change, and puts everything back when the command ends, however it ends (but by
# SIGKILL). Nothing is ever lowered. The exit code is the command's.
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
kernel.pid_max 4194304 processes and threads: one for each connection
kernel.threads-max 524288 the same
vm.max_map_count 1048576 pieces of memory of a process: two for each thread's stack
net.core.somaxconn 16384 connections that wait to be accepted
net.ipv4.tcp_max_syn_backlog 16384 connections that are being made
net.netfilter.nf_conntrack_max 4194304 connections that a firewall follows, if there is one"
ports_first=1024 ports_last=65535 # port range of one source address, but those that listen
changed=()

say()
{
	echo "limits.sh: $*" >&2
}

path_of()
{
	echo "/proc/sys/${1//.//}"
}

# set_limit NAME VALUE WHAT-FOR
set_limit()
{
	local path old
	path=$(path_of "$1")
	[ -e "$path" ] || return 0
	old=$(tr '\t' ' ' <"$path")
	if ! { echo "$2" >"$path"; } 2>/dev/null; then
		say "$1 stays at $old, it cannot be set here ($3)"
	else
		changed+=("$1=$old")
		say "$1: $old -> $(tr '\t' ' ' <"$path") ($3)"
	fi
}

raise_all()
{
	local name least why first last
	while read -r name least why; do
		[ -e "$(path_of "$name")" ] || continue
		[ "$(<"$(path_of "$name")")" -ge "$least" ] || set_limit "$name" "$least" "$why"
	done <<<"$limits"
	read -r first last <"$(path_of net.ipv4.ip_local_port_range)"
	[ $((last - first)) -ge $((ports_last - ports_first)) ] ||
		set_limit net.ipv4.ip_local_port_range "$ports_first $ports_last" \
			"connections from one source address"
	raise_own "open files" -n 1048576
	raise_own "processes of this user" -u unlimited
}

# raise_own WHAT OPTION-OF-ULIMIT WANTED: of this process and what it starts; nothing to put back.
raise_own()
{
	local before hard
	before=$(ulimit -S "$2")
	ulimit -H "$2" "$3" 2>/dev/null || true
	hard=$(ulimit -H "$2")
	ulimit -S "$2" "$hard"
	[ "$before" = "$hard" ] || say "$1: $before -> $hard (this command)"
	[ "$hard" = "$3" ] || [ "$hard" = unlimited ] || say "$1: at most $hard here"
}

put_back()
{
	local i entry
	for ((i = ${#changed[@]} - 1; i >= 0; i--)); do
		entry=${changed[i]}
		if { echo "${entry#*=}" >"$(path_of "${entry%%=*}")"; } 2>/dev/null; then
			say "${entry%%=*}: back to ${entry#*=}"
		else
			say "${entry%%=*}: could not be put back to ${entry#*=}"
		fi
	done
}

if [ $# -eq 0 ]; then
	sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
	exit 2
fi
# The signal goes to the command; we wait for it and put back.
trap put_back EXIT
trap '[ -z "${child:-}" ] || kill -TERM "$child" 2>/dev/null' TERM HUP
trap : INT # the terminal tells the command, too
raise_all
# What runs in the background ignores SIGINT unless it is told not to.
env --default-signal=INT,QUIT "$@" <&0 &
child=$!
while :; do
	wait "$child"
	code=$?
	kill -0 "$child" 2>/dev/null || break
done
exit "$code"
