/* One exchange with a module's comm socket in the JSON dialect: look up, connect, ask, read the
 * reply line. Blocking, all of it within one time limit. */
#ifndef CONTROLLER_CALL_H
#define CONTROLLER_CALL_H

#include <jansson.h>
#include <stdint.h>

#define CALL_WHY_MAX 256

/* 0: `ret_reply` is the module's answer, an object whose "ok" is a boolean; the caller owns it.
 * Else a negative errno, and `ret_why` says in a few words what went wrong. */
int call_module(const char *host, uint16_t port, const json_t *request, uint32_t timeout_ms,
		json_t **ret_reply, char ret_why[CALL_WHY_MAX]);

#endif
