/* Packets of a socket, many by one system call, each with the kernel's stamp of its arrival. */
#ifndef SINK_INTAKE_H
#define SINK_INTAKE_H

#include "mcast/sink/flow.h"

#include <sys/socket.h>
#include <time.h>

#define INTAKE_BATCH 32u

struct intake {
	uint8_t *bytes; /* a place of INTAKE_PLACE_BYTES for each packet */
	struct mmsghdr headers[INTAKE_BATCH];
	struct iovec pieces[INTAKE_BATCH];
	uint8_t controls[INTAKE_BATCH][CMSG_SPACE(sizeof(struct timespec))]
		__attribute__((aligned(8)));
	struct payload payload;
};

/* `in` is all zero. `payload`: the file that packets hold bytes of; NULL: there is none. 0, or a
 * negative errno with `ret_why`; intake_done in any case. */
int intake_init(struct intake *in, bool is_rtp, const char *payload, char ret_why[WHY_BYTES_MAX]);
void intake_done(struct intake *in);
/* One call: returns how many packets came, up to INTAKE_BATCH; then there may be more. */
unsigned intake_receive(struct intake *in, struct flow *f);

#endif
