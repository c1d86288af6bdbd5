/* Every limit of the link emulator, with its reason. What a user sets has its range here. */
#ifndef EMULATOR_CORE_LIMITS_H
#define EMULATOR_CORE_LIMITS_H

#include "common/base/limits.h"

/* ---- what may be asked of a link ---- */
#define RATE_BPS_MAX 1000000000000ull /* a Tbit/s: times a packet's bits it stays far from 2^64 */
#define TIME_NS_MAX 60000000000ull    /* a minute: further than the moon and back, 20 times */
#define LIMIT_BYTES_MAX (1024ull * MIB)
#define LIMIT_PACKETS_MAX 1000000ull
#define BURST_PACKETS_MAX 1000000ull
/* What a queue holds unless told: Linux's own default for an interface. */
#define LIMIT_PACKETS_DEFAULT 1000u

/* ---- memory ---- */
/* In one direction of one link, queue and flight together: 1 Gbit/s for a second in packets of
 * 1500 bytes, as they lie in memory. What comes beyond is dropped and counted. */
#define DIRECTION_BYTES_MAX (160ull * MIB)
#define LINKS_MAX 64u /* two sockets each, and one look at each per turn */
/* A frame of a link whose MTU is smaller: headers of a large packet are read into its first
 * piece. */
#define FRAME_BYTES_MIN 1536u
/* The largest packet that an interface hands over before it is cut, its Ethernet header and some
 * room: IPv6 with a 64 KiB payload. */
#define SUPER_BYTES_MAX (64u * KIB + 256u)
/* The loopback's, and more than veth and TUN take. Some devices take any. */
#define MTU_MAX (64u * KIB)
/* Ethernet, IPv6 with extensions or IPv4 with options, TCP with options. */
#define HEADER_BYTES_MAX 256u

/* ---- turns ---- */
/* Packets in one system call: its price is spread, and the first does not wait long for the
 * last (1 us each). */
#define BATCH_PACKETS 64u
/* While packets come the loop sleeps for so long between two turns instead of being woken by each:
 * at 83,000 a second four packets share a wake-up. The kernel has stamped them, so what waits is
 * not late. */
#define TURN_NS 50000u
/* A packet whose time comes within so long leaves now: half a turn early at the most, instead of a
 * turn late. */
#define EARLY_NS 20000u
/* A socket must hold what comes while we are not running: 80 ms of 1 Gbit/s as the kernel counts
 * memory (a packet of 1500 bytes costs 2304). */
#define SOCKET_BYTES (16u * MIB)
/* A packet that is further back than this was stamped by another clock (it was set meanwhile). */
#define STAMP_AGE_NS_MAX 1000000000ull
/* Two clocks that are read one after the other: the first is no older than this, usually. */
#define CLOCK_READ_NS 1000u
/* Above this a packet left late, and is counted. */
#define LATE_NS 100000u

/* ---- control ---- */
#define COMMAND_BYTES_MAX 1024u /* each key of `set`, with the longest values, is half of it */
#define TALKERS_MAX 16u		/* tests and an operator */
#define LINK_NAME_MAX 32u
#define END_NAME_MAX 288u /* tun: or nothing, an interface (15), @, a file name (255) */

#endif
