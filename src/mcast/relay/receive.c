/* The ways by which datagrams come: see receive.h. */
#include "mcast/relay/receive.h"

#include <string.h>

const struct receive_ops *receive_find(const char *name)
{
	static const struct receive_ops *const all[] = {&receive_udp, &receive_packet,
							&receive_xdp};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
}
