/* A host and a port as text: see hostport.h. */
#include "common/base/hostport.h"

#include <stdio.h>
#include <string.h>

void hostport_text(const char *host, uint16_t port, char ret_text[HOSTPORT_TEXT_MAX])
{
	snprintf(ret_text, HOSTPORT_TEXT_MAX, strchr(host, ':') ? "[%.255s]:%u" : "%.255s:%u", host,
		 port);
}
