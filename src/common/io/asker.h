/* The client's side of JSON lines (docs/control.md): requests go out, replies come in their order.
 * Several may be under way: while a reply is awaited, what was pushed goes out, so that neither
 * side ever waits for the other to read. Blocking, until a deadline. */
#ifndef IO_ASKER_H
#define IO_ASKER_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct asker_bytes {
	char *bytes; /* malloc'd; those from `at` to `end` are to be used */
	size_t at, end, size;
};

struct asker {
	int fd;
	uint64_t end_us; /* of clock_now_us: the caller's, to be set before asker_next */
	struct asker_bytes out, in;
	size_t scanned; /* of `in`, from `at`: has no line end */
};

/* `fd_take` is connected and does not block. */
void asker_init_take(struct asker *a, int fd_take);
void asker_done(struct asker *a);

/* 0 or -ENOMEM. The request is borrowed. */
int asker_push(struct asker *a, const json_t *request);
/* Bytes that were pushed and are not out yet: who has many requests keeps this low. */
size_t asker_unsent(const struct asker *a);

/* The next reply, an object whose "ok" is a boolean; the caller owns it. Or -ETIMEDOUT,
 * -ECONNABORTED (the other end has hung up), -EPROTO or -EMSGSIZE (what answers is no comm socket),
 * or another negative errno: then nothing more is to be had. */
int asker_next(struct asker *a, json_t **ret_reply);

/* Waits for poll(2)'s events until `end_us`: 0, -ETIMEDOUT or another negative errno. */
int asker_await(int fd, short events, uint64_t end_us, short *ret_events);

/* Such an error in a few words. */
const char *asker_error_text(int err);

#endif
