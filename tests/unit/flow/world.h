/* One tunnel end in a tiny world of its own: two paths that keep what is sent on them, clients
 * (or servers) that have bytes, an end or an error, and a clock that the test moves. The tests
 * play the other end: receive_* is what comes from it, expect_* what goes to it, in order. */
#ifndef TESTS_UNIT_FLOW_WORLD_H
#define TESTS_UNIT_FLOW_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* which needs those before it */

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/flow/tunnel.h"

#define WORLD_LIMIT_BYTES (64 * MIB)
#define WORLD_SESSIONS_MAX 16
#define WORLD_SENT_MAX 16384
#define WORLD_USERS_MAX 64
#define WORLD_CREDIT (1024 * KIB)
#define WORLD_RTT_MS 10

/* A frame that went out. */
struct sent {
	const struct path *path;
	struct frame head;
	struct open_info open;
	struct ack_info ack;
	struct reset_info reset;
};

/* A client, or at the acceptor a server. */
struct user {
	struct session *session; /* NULL once it has let go */
	uint64_t id;
	uint64_t has_bytes; /* to be read from it, then its end or error, if it has one */
	bool has_end;
	int error;
	uint64_t read_bytes, got_bytes;
	uint32_t told; /* how often that there is something to deliver */
	bool is_ended;
	uint32_t code;
	struct open_info info; /* acceptor: what OPEN said */
};

struct world {
	struct budget budget;
	struct tunnel *t;
	uint64_t now_us;
	struct path *paths[2];
	uint64_t probes[2]; /* tokens of those that have not come back; they are not in `sent` */
	const struct path *drained; /* the last that tunnel_ops.drained told of */
	struct sent sent[WORLD_SENT_MAX];
	size_t sent_count, seen;
	struct user users[WORLD_USERS_MAX];
	size_t user_count;
	bool is_closed;
};

/* Set-up and tear-down of a test: an ingress's or an egress's end, both paths up. The tear-down
 * checks that no memory and no promise is left. */
int world_set_up_initiator(void **state);
int world_set_up_acceptor(void **state);
int world_tear_down(void **state);

#define initiator_test(name) \
	cmocka_unit_test_setup_teardown(name, world_set_up_initiator, world_tear_down)
#define acceptor_test(name) \
	cmocka_unit_test_setup_teardown(name, world_set_up_acceptor, world_tear_down)

void run(struct world *w);
/* Time passes, with a run whenever the tunnel asks for one. */
void wait_ms(struct world *w, uint64_t ms);

void path_up(struct world *w, int path);
void path_lost(struct world *w, int path);
/* The probe that went out on `path` comes back, on the other one. */
void probe_back(struct world *w, int path);

/* ---- clients and servers ---- */

/* A client comes, and with it `bytes` (a run follows, as after all of these). */
struct user *open_session(struct world *w, uint64_t bytes);
void user_sends(struct world *w, struct user *u, uint64_t bytes);
void user_ends(struct world *w, struct user *u);
/* It takes `bytes`, which must be there and be the stream's. */
void user_takes(struct world *w, struct user *u, uint64_t bytes);
/* The end of the stream is passed on to it, which must be its turn. */
void user_gets_end(struct world *w, struct user *u);
/* It resets its connection. */
void user_resets(struct world *w, struct user *u, enum reset_code code);
void assert_ended(const struct user *u, enum reset_code code);

/* ---- frames from the other end: what tunnel_receive said; a run follows ---- */

int receive(struct world *w, int path, const struct frame *head, const uint8_t *control,
	    const struct slice *data);
int receive_open(struct world *w, int path, uint64_t id);
int receive_data(struct world *w, int path, uint64_t id, uint64_t offset, uint32_t len,
		 uint8_t flags);
int receive_ack(struct world *w, int path, uint64_t id, uint64_t offset, uint64_t credit);
int receive_reset(struct world *w, int path, uint64_t id, enum reset_code code, uint64_t final,
		  uint8_t flags);

/* At the acceptor: a session begins, its ACK is seen. */
struct user *accept_session(struct world *w, uint64_t id);
/* At the initiator: one that has begun and is known to the other end. */
struct user *begin_session(struct world *w);
/* The same with WORLD_CREDIT, and both paths known: WORLD_RTT_MS. */
struct user *begin_known(struct world *w);

/* ---- frames to the other end, each the next one that was sent ---- */

const struct sent *expect_frame(struct world *w, enum frame_type type, uint64_t id);
void expect_data(struct world *w, uint64_t id, uint64_t offset, uint32_t len, uint8_t flags);
/* Returns the ACK, for its credit and ranges. */
const struct ack_info *expect_ack(struct world *w, uint64_t id, uint64_t offset);
void expect_reset(struct world *w, uint64_t id, enum reset_code code, uint8_t flags);
void expect_nothing(const struct world *w);
/* What was sent since is of no interest. */
void skip_sent(struct world *w);

#endif
