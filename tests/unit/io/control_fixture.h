/* The comm socket, for real on loopback or as a unix socket, all in one thread: it waits for the
 * loop's descriptor and the client's at once. The daemon is a handler that answers at once, later
 * or never. Every wait of a client has an end, then the test fails. */
#ifndef TEST_CONTROL_FIXTURE_H
#define TEST_CONTROL_FIXTURE_H

#include "common/io/control_conn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATIENCE_MS 20000 /* of the test, for a machine that is busy */

enum manner { AT_ONCE, LATER, NEVER };

struct fixture {
	uv_loop_t loop;
	struct control *control;
	enum manner manner;
	struct control_request *kept; /* LATER, NEVER */
	int asked_count;
	char asked[8][256]; /* "op args" of the last ones, in turn */
	bool is_dead;	    /* health_check: not live */
	bool is_closed;
	char folder[32]; /* "": it is TCP */
	char path[64];	 /* of the unix socket */
};

/* For cmocka: control_open on a port of the kernel's choice, or control_open_unix in a folder of
 * its own; control_close, and all is freed. */
int fixture_setup(void **state);
int fixture_setup_unix(void **state);
int fixture_teardown(void **state);

/* ---- the daemon ---- */
void fixture_handle(void *user, struct control_request *req);
void fixture_on_closed(void *user);

/* ---- the client ---- */
uint64_t fixture_now_ms(void);
/* One turn of the loop; before it, waits until the loop or `fd` (-1: none) has something to do. */
void fixture_turn(struct fixture *f, int fd);
int fixture_dial(struct fixture *f);
/* To some unix socket; -1 with errno. */
int fixture_dial_path(const char *path);
void say(int fd, const char *bytes, size_t len);
void say_text(int fd, const char *text);
/* Like say(), for what does not fit into the socket's buffers. The module may hang up meanwhile. */
void say_much(struct fixture *f, int fd, char byte, size_t count);
/* Reads until the text has `len` bytes or the stream ends; true: it ended (in order or by reset).
 */
bool hear(struct fixture *f, int fd, char *ret_text, size_t len);
void expect(struct fixture *f, int fd, const char *text);
/* The last words; then the connection ends, and `fd` is closed. */
void expect_end(struct fixture *f, int fd, const char *text);
/* Until the daemon was asked so many things, or so many connections are open. */
void wait_asked(struct fixture *f, int count);
void wait_conns(struct fixture *f, uint32_t count);

#endif
