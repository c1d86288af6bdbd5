/* Which streams: the first one's group and port, and how far it is to the next one's.
 *
 * What the generator and the sink are told alike, so that both mean the same streams by the same
 * words. */
#ifndef TRAFFIC_STREAMS_H
#define TRAFFIC_STREAMS_H

#include "common/base/fail.h"
#include "common/base/hostport.h"
#include "mcast/core/ip.h"

#include <net/if.h>
#include <netinet/in.h>

struct streams {
	struct ip group; /* of stream 0 */
	uint16_t port;
	uint32_t count;
	uint32_t group_step, port_step; /* from one stream to the next */
	char interface[IFNAMSIZ];
	unsigned interface_index;
	struct ip source; /* IP_NONE: any */
};

union stream_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* One stream, steps of 1; the rest is not given. */
void streams_init(struct streams *s);

/* Options that both programs have, by their letters: 'g'roup, 'p'ort, 'i'nterface, 'n' streams,
 * 'S'ource, and these. */
enum { STREAMS_GROUP_STEP = 512, STREAMS_PORT_STEP };

/* EXIT_FAILED after one line on standard error. */
enum exit_code streams_option(struct streams *s, int option, const char *text);
/* All of them together, after the last one; finds the interface. */
enum exit_code streams_check(struct streams *s);

/* The group of stream `index`: 0, or -ERANGE beyond the last multicast address. */
int streams_group(const struct streams *s, uint32_t index, struct ip *ret);
/* Where stream `index` goes, with the interface as its scope (IPv6). Only after streams_check. */
socklen_t streams_address(const struct streams *s, uint32_t index, union stream_address *ret);
/* As people write it: "239.1.1.1:5000". Only after streams_check. */
void streams_text(const struct streams *s, uint32_t index, char ret_text[HOSTPORT_TEXT_MAX]);
/* Any address, for bind(2) and for sources. */
socklen_t streams_socket_address(const struct ip *ip, uint16_t port, unsigned scope,
				 union stream_address *ret);

#endif
