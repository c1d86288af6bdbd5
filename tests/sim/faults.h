/* What breaks in a run, and when. Random faults strike as the run makes progress: proxies die,
 * links break, or (in half of the runs) stall for a while, some of them for ever. Besides, half of
 * the seeds have one aimed fault: the proxy at a given place dies when a frame of a given kind
 * passes it in a given direction, before it is forwarded, after, or when it has left. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "vproxy.h"

#include "common/flow/relay.h"
#include "common/wire/frame.h"

enum fault_kind {
	FAULT_OPEN,
	FAULT_DATA,
	FAULT_FIN,
	FAULT_ACK,
	FAULT_RESET,
	FAULT_RESET_ANSWER,
	FAULT_PATH_LOST,
	FAULT_DRAIN,
	FAULT_KINDS,
};

enum fault_stage { FAULT_BEFORE, FAULT_AFTER, FAULT_LEFT, FAULT_STAGES };

#define FAULT_LEVELS 2

/* OPEN goes down only. */
#define FAULT_AIMS ((FAULT_KINDS * 2 - 1) * FAULT_STAGES * FAULT_LEVELS)

struct fault_aim {
	enum fault_kind kind;
	enum fault_stage stage;
	unsigned level;	       /* of the proxy, from the ingress */
	enum hop_side towards; /* the frame runs up or down */
};

struct faults {
	struct world *world;
	struct vlinks *links;
	struct vproxy *proxies;
	unsigned proxy_count;
	bool is_aimed, has_hit;
	struct fault_aim aim;
	unsigned passes_left; /* frames of the kind to let pass */
	unsigned strikes_left;
	unsigned stall_percent; /* of the strikes */
	uint64_t strike_every_bytes, strike_at_bytes, delivered_bytes;
	bool is_outage;	 /* all proxies die, for longer than sessions wait */
	bool only_links; /* random faults leave proxies alone */
	struct world_timer strike_timer;
};

void faults_init(struct faults *f, struct world *w, struct vlinks *links, struct vproxy *proxies,
		 unsigned proxy_count);
void faults_done(struct faults *f);

struct fault_aim faults_aim(unsigned index); /* 0 .. FAULT_AIMS - 1 */
/* An event never comes to the first proxy from the ingress. */
bool faults_can_happen(const struct fault_aim *aim);
void faults_describe(const struct fault_aim *aim, char *ret_text, size_t size);

/* `len` more bytes reached a client or server. */
void faults_on_delivered(struct faults *f, uint64_t len);

/* A frame is at a proxy. True: the proxy dies now, the frame with it. */
bool faults_on_frame(struct faults *f, struct vproxy *p, enum hop_side towards,
		     enum fault_stage stage, const struct frame *head);

#endif
