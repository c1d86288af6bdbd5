/* A host and a port as one text, as people write it. */
#ifndef BASE_HOSTPORT_H
#define BASE_HOSTPORT_H

#include <stdint.h>

/* A host name has 255 bytes at the most; brackets, colon, port and NUL. */
#define HOSTPORT_TEXT_MAX 272

/* "10.0.0.1:80", "relay.example:80", an IPv6 address in brackets: "[::1]:80". */
void hostport_text(const char *host, uint16_t port, char ret_text[HOSTPORT_TEXT_MAX]);

#endif
