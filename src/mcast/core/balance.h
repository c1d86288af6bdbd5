/* Which worker owns which stream, by measured load.
 *
 * A move is proposed only when it pays: when the busiest worker has a quarter more than the least
 * busy one and the move brings both closer together; few at a time, first those that bring them
 * closest, never back and forth (a stream that was moved stays for BALANCE_REST_ROUNDS rounds). */
#ifndef MCAST_BALANCE_H
#define MCAST_BALANCE_H

#include <stddef.h>
#include <stdint.h>

/* Rounds in which a moved stream stays: its load is smoothed, and has to be seen at its new place
 * before anything is concluded from it. */
#define BALANCE_REST_ROUNDS 10u
/* The busiest has so much more than the least busy, of the latter's load: less is noise. */
#define BALANCE_GAP_SHARE 0.25
/* Packets a second that no worker feels: an idle relay moves nothing. */
#define BALANCE_GAP_MIN 10.0

struct balance_stream {
	double load;	      /* packets a second, smoothed by the caller */
	uint32_t worker;      /* its owner */
	uint32_t rest_rounds; /* in and out: not moved before it is 0; counted down here */
};

struct balance_move {
	size_t stream;
	uint32_t from, to;
};

/* One round: `is_usable[w]`: worker w takes streams; `worker_count` is WORKERS_MAX at the most.
 * Fills at most `max` moves and returns how many. The caller sets `worker` when a move is done.
 * Streams of a worker that is not usable are not looked at: they are placed, not balanced. */
size_t balance_round(struct balance_stream *streams, size_t count, const uint8_t *is_usable,
		     uint32_t worker_count, struct balance_move *ret_moves, size_t max);

#endif
