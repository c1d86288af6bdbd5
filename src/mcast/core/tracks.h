/* Which RTP packets have been seen: by SSRC and sequence number (RFC 3550, 5.1).
 *
 * A track is one run of numbers of one SSRC: a window of DEDUP_WINDOW below the highest. A packet
 * belongs to the track whose highest its number is nearest to, if it is within a window of it; one
 * that belongs to none begins a new track in place of the one unused for longest. So a source that
 * begins anew, with another SSRC or number, loses nothing, and the slower input's last packets of
 * the old run are still known as copies. */
#ifndef MCAST_TRACKS_H
#define MCAST_TRACKS_H

#include "mcast/core/dedup.h"

#define TRACKS_MAX 4u /* the old run, the new one, and two strays */

struct rtp {
	uint32_t ssrc;
	uint16_t sequence;
};

struct track {
	uint32_t ssrc;
	uint16_t highest;
	uint64_t used_at; /* number of the packet that it had last; 0: a free track */
	uint64_t seen[DEDUP_WINDOW / 64]; /* bit: sequence modulo DEDUP_WINDOW */
};

/* Zeroed: nothing seen. */
struct tracks {
	struct track track[TRACKS_MAX];
	uint64_t packets;
};

/* 0, or -EPROTO when it is no RTP packet; RTCP on the same port is none (RFC 5761, 4). */
int rtp_decode(const uint8_t *payload, size_t len, struct rtp *ret);
/* True when it was not seen before. */
bool tracks_take(struct tracks *t, const struct rtp *rtp);

#endif
