/* One end of a link: an interface whose packets we take and give. Either a packet socket on an
 * interface that exists (veth, a network card), or the program's side of a TUN device. */
#ifndef EMULATOR_PORT_H
#define EMULATOR_PORT_H

#include "common/base/slab.h"
#include "emulator/core/limits.h"
#include "emulator/core/packet.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum port_kind { PORT_PACKET, PORT_TUN };

struct port {
	enum port_kind kind;
	int fd; /* -1: none */
	char interface[IFNAMSIZ];
	uint32_t mtu;
	uint64_t missed; /* packets that the socket had no room for */
};

/* What one read brings: packets with the times of their arrival. Large ones lie in `super`. */
struct arrival {
	struct packet *packet; /* from the slab: header, and the frame when it fits */
	size_t len;	       /* of the frame */
	uint64_t time_ns;
};

struct inbox {
	struct arrival arrivals[BATCH_PACKETS];
	struct mmsghdr messages[BATCH_PACKETS];
	struct iovec pieces[BATCH_PACKETS][2];
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct timespec))];
	} stamps[BATCH_PACKETS];
	/* The end of a large frame, behind room for its beginning: see port_super. */
	uint8_t super[BATCH_PACKETS][SUPER_BYTES_MAX];
};

/* Opens "[tun:]INTERFACE[@NAMESPACE]" and brings it up. -errno with one line in `ret_why`. */
int port_open(struct port *p, const char *text, char ret_why[WHY_BYTES_MAX]);
void port_close(struct port *p);

/* Reads what is there into the inbox, at most BATCH_PACKETS; every packet of it has room for
 * `frame_max` bytes. Arrivals are not after `now_ns`. The number, or a negative errno (-EAGAIN:
 * nothing is there; -ENETDOWN and others pass). */
int port_receive(struct port *p, struct inbox *in, size_t frame_max, uint64_t now_ns);
/* A frame of the last read that is longer than `frame_max`, in one piece; NULL when it is cut. */
const uint8_t *port_super(struct inbox *in, size_t index, size_t frame_max);

/* Gives packets to the interface; how many it took. The next one it refused. */
size_t port_send(struct port *p, struct packet *const *packets, size_t count);

/* The carrier as the other side of the interface sees it. 0 or a negative errno. */
int port_set_up(struct port *p, bool is_up);
/* Adds what the kernel counted since the last call to `missed`. */
void port_count_missed(struct port *p);

#endif
