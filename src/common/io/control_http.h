/* HTTP on the comm socket: GET and HEAD of /metrics, /healthz and /status. What a connection
 * keeps between two bytes of a request, and between the two questions that /status asks. */
#ifndef IO_CONTROL_HTTP_H
#define IO_CONTROL_HTTP_H

#include <http_parser.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct control_http_target;

struct control_http {
	http_parser parser;
	size_t url_offset, url_len; /* in the input not taken yet */
	const struct control_http_target *target;
	bool keeps_alive; /* after this answer */
	bool is_head;	  /* the answer has no body */
	json_t *stats;	  /* /status: the first of its two replies */
};

#endif
