/* What the tests of the subflow share: a dialled and an accepted one in the same loop, and a raw
 * peer, a socket that the test itself speaks on. Each end keeps what happened to it, and checks
 * DATA against pattern(offset). */
#ifndef TESTS_UNIT_IO_SUBFLOW_PAIR_H
#define TESTS_UNIT_IO_SUBFLOW_PAIR_H

#include "loop.h"

#include "common/io/subflow_internal.h"

struct end {
	struct subflow *s;
	unsigned int ups, frames, rooms, blocks, losses;
	bool has_ended; /* at the loss */
	struct hello_ack ack;
	char why[512];
	int answer;		  /* what ops->frame returns */
	unsigned int close_after; /* close at this frame; 0: never */
	bool closes_orderly, pauses;
	bool is_blocked; /* as an owner would keep it */

	/* of DATA */
	uint64_t data_bytes, bad_bytes;
	uint8_t last_type;
};

struct pair {
	struct turner t;
	int listener;
	uint16_t port;
	struct end dialler, accepter;
};

extern const struct subflow_ops pair_ops; /* their user is a struct end */

uint8_t pattern(uint64_t offset);
struct hello make_hello(void);
struct hello_ack make_ack(void);

void pair_init(struct pair *p);
/* Closes what is open and waits until all memory has come back. */
void pair_done(struct pair *p);
/* Both ends up to, and without, subflow_answer. */
void pair_open(struct pair *p, const struct subflow_key *dialler_key,
	       const struct subflow_key *accepter_key);
/* Both ends up. */
void pair_up(struct pair *p, const struct subflow_key *key);
/* Only the dialler, up; returns the raw socket at its other end. */
int raw_up(struct pair *p);

/* ---- a raw socket ---- */

void read_all(int fd, void *buf, size_t len);
void send_all(int fd, const void *bytes, size_t len);
/* Returns the bytes of a frame with this payload in `out`. */
size_t encode_frame(const struct frame *head, const void *payload, uint8_t *out);
void send_u64(int fd, uint8_t type, uint64_t value);
/* Reads frames up to the first of this type; its payload is in `ret_payload`. */
void expect_frame(struct pair *p, int fd, uint8_t type, uint8_t ret_payload[1024]);

/* ---- a subflow ---- */

/* Sends the next `len` bytes of the pattern as one DATA frame. False: blocked from now on. */
bool send_data(struct end *e, uint64_t *offset, uint32_t len);
/* Frames of 60,000 bytes. */
void send_until_blocked(struct end *e, uint64_t *sent);

#endif
