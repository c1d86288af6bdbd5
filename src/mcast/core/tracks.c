/* Runs of sequence numbers: see tracks.h. */
#include "mcast/core/tracks.h"

#include "common/base/reader.h"

#include <errno.h>
#include <stdlib.h>

#define RTP_VERSION 2
/* The second byte of RTCP packets; of RTP it would be the marker and a payload type that RFC 5761
 * keeps free. */
#define RTCP_TYPE_FIRST 192
#define RTCP_TYPE_LAST 223
/* A track that had no packet among so many is over. Another run of its SSRC needs 15 windows of
 * packets to come round to its numbers, and must not find them seen. */
#define TRACK_REST_PACKETS (8u * DEDUP_WINDOW)

int rtp_decode(const uint8_t *payload, size_t len, struct rtp *ret)
{
	struct rtp rtp;
	struct reader r;
	uint8_t type;

	reader_init(&r, payload, len);
	if (reader_u8(&r) >> 6 != RTP_VERSION)
		return -EPROTO;
	type = reader_u8(&r);
	if (type >= RTCP_TYPE_FIRST && type <= RTCP_TYPE_LAST)
		return -EPROTO;
	rtp.sequence = reader_u16(&r);
	reader_u32(&r); /* the timestamp */
	rtp.ssrc = reader_u32(&r);
	if (r.is_bad)
		return -EPROTO;
	*ret = rtp;
	return 0;
}

/* From the track's highest, the short way round. */
static int ahead(const struct track *track, uint16_t sequence)
{
	return (int16_t)(uint16_t)(sequence - track->highest);
}

static bool is_over(const struct tracks *t, const struct track *track)
{
	return track->used_at == 0 || t->packets - track->used_at > TRACK_REST_PACKETS;
}

/* The track that the packet belongs to, or NULL. */
static struct track *track_near(struct tracks *t, const struct rtp *rtp)
{
	struct track *best = NULL;
	int best_distance = DEDUP_WINDOW;

	for (size_t i = 0; i < TRACKS_MAX; i++) {
		struct track *track = &t->track[i];
		int distance = abs(ahead(track, rtp->sequence));

		if (track->ssrc != rtp->ssrc || is_over(t, track) || distance >= best_distance)
			continue;
		best = track;
		best_distance = distance;
	}
	return best;
}

static struct track *track_new(struct tracks *t, const struct rtp *rtp)
{
	struct track *oldest = &t->track[0];

	for (size_t i = 1; i < TRACKS_MAX; i++)
		if (t->track[i].used_at < oldest->used_at)
			oldest = &t->track[i];
	*oldest = (struct track){.ssrc = rtp->ssrc, .highest = rtp->sequence};
	return oldest;
}

static uint64_t *word_of(struct track *track, uint16_t sequence)
{
	return &track->seen[sequence % DEDUP_WINDOW / 64];
}

static uint64_t bit_of(uint16_t sequence)
{
	return (uint64_t)1 << sequence % 64;
}

/* The window moves: what it comes to has not been seen. */
static void move_to(struct track *track, uint16_t sequence)
{
	while (track->highest != sequence) {
		track->highest++;
		*word_of(track, track->highest) &= ~bit_of(track->highest);
	}
}

bool tracks_take(struct tracks *t, const struct rtp *rtp)
{
	struct track *track;
	uint64_t bit = bit_of(rtp->sequence), *word;
	bool is_first;

	t->packets++;
	track = track_near(t, rtp);
	if (!track)
		track = track_new(t, rtp);
	track->used_at = t->packets;
	if (ahead(track, rtp->sequence) > 0)
		move_to(track, rtp->sequence);
	word = word_of(track, rtp->sequence);
	is_first = !(*word & bit);
	*word |= bit;
	return is_first;
}
