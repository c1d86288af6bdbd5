/* A virtual client or server: what it writes and how fast, how it reads, how it ends, all drawn
 * from the seed. Every byte follows from its stream, direction and offset, so that whoever reads
 * it can tell that it is the right one. Two peers make a stream. */
#ifndef SIM_VPEER_H
#define SIM_VPEER_H

#include "world.h"

#include "common/flow/session.h"

#include <sys/types.h>

struct vend;
struct faults;

struct vpeer_plan {
	uint64_t total;			    /* bytes to write, then the end */
	uint64_t burst_bytes, burst_us;	    /* so many at once, so often */
	uint64_t read_bytes, read_us;	    /* the same for reading */
	uint64_t stall_at, stall_us;	    /* stops reading there for so long */
	uint64_t reset_written, reset_read; /* resets having written or read so much; or NEVER */
	bool is_answer;			    /* writes and ends only after the other's end */
};

#define VPEER_NEVER UINT64_MAX

struct vpeer {
	struct world *world;
	struct faults *faults;
	struct vend *end;
	struct vpeer *other;
	struct session *session; /* NULL before and after */
	unsigned stream;
	uint64_t key; /* of the bytes that it writes */
	struct vpeer_plan plan;
	uint64_t available, written, read;
	bool has_begun, has_ended, did_end, saw_end, did_reset, did_stall;
	uint32_t end_code;
	uint64_t reset_us;
	struct world_timer write_timer, read_timer;
};

struct vstream {
	unsigned tunnel;
	uint64_t start_us;
	bool is_started;
	struct vpeer client, server;
};

/* Draws a plan for both sides; about `bytes` in all. */
void vstream_init(struct vstream *s, struct world *w, struct faults *f, unsigned index,
		  uint64_t bytes, unsigned reset_percent);
void vstream_done(struct vstream *s);

/* Both sides are done with it, or never heard of it. */
bool vstream_is_over(const struct vstream *s);
/* What is wrong with how an ended stream ended, or NULL. `may_lose`: a path was missing for too
 * long. */
const char *vstream_error(const struct vstream *s, bool may_lose);

void vstream_print(const struct vstream *s); /* how far it has come */

void vpeer_begin(struct vpeer *p, struct vend *end, struct session *s);
ssize_t vpeer_pull(struct vpeer *p, uint8_t *buf, size_t size);
void vpeer_on_deliverable(struct vpeer *p);
void vpeer_on_ended(struct vpeer *p, uint32_t code);

#endif
