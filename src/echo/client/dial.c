/* Sockets and source addresses: see dial.h. */
#include "echo/client/dial.h"

#include "common/base/clock.h"
#include "common/base/minmax.h"
#include "echo/client/rtaddr.h"

#include <errno.h>
#include <unistd.h>

/* Without one success between them, so many failures are no accident. */
#define FAILED_IN_ROW_MAX 100u
/* The same for failures that take long: so many times what one connection may take. */
#define FAILING_TIMEOUTS_MAX 2u
/* Of the 28,000 ports that a source address has towards one server by default the kernel finds the
 * first half at once, and searches longer and longer for the rest. */
#define SOURCE_CONNECTIONS_MAX 12000u

void dial_init(struct dial *d, const struct worker *w)
{
	*d = (struct dial){.worker = w,
			   .has_source = w->plan->sources.count > 0,
			   .source_used = SOURCE_CONNECTIONS_MAX,
			   .success_ns = clock_now_ns()};
}

/* A socket of the server's family that is bound to `source` (NULL: to none) without a port yet:
 * connect(2) then finds one that is free towards this server only. */
static int open_socket(const struct plan *plan, const union address *source, int flags)
{
	int yes = 1, err;
	int fd = socket(plan->server.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0 || !source)
		return fd < 0 ? -errno : fd;
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes)) == 0 &&
	    bind(fd, &source->any, address_len(source)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* -EEXIST: it is there already. If we are killed before it is marked it goes by itself. */
static int add_to_interface(const struct dial *d, uint32_t index, const union address *source)
{
	const struct worker *w = d->worker;
	int err = 0;

	if (w->plan->source_interface == 0)
		return 0;
	err = rtaddr_add(w->plan->source_interface, source);
	if (!err)
		atomic_store(&w->board->source_is_ours[index], true);
	return err;
}

/* Whether this machine has it, before many sockets count on it. */
static int try_source(const struct dial *d, const union address *source)
{
	int fd = open_socket(d->worker->plan, source, 0);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static uint32_t pool_size(const struct dial *d)
{
	return min_u32(d->worker->plan->sources.count, BOARD_SOURCES_MAX);
}

/* 0 or a negative errno; the old one then stays. */
static int use_source(struct dial *d, uint32_t index, bool may_be_there)
{
	union address source = sources_nth(&d->worker->plan->sources, index);
	int err = add_to_interface(d, index, &source);

	if (!err || (err == -EEXIST && may_be_there))
		err = try_source(d, &source);
	if (err)
		return err;
	d->source = source;
	d->source_used = 0;
	return 0;
}

/* The next one of the pool that all workers share. -ENOENT: there is none. */
static int take_source(struct dial *d)
{
	int err;

	do {
		uint32_t index = atomic_fetch_add(&d->worker->board->source_next, 1);

		if (index >= pool_size(d))
			return -ENOENT;
		/* One that is there is somebody else's, or was left by a client that was killed
		 * and is about to vanish. */
		err = use_source(d, index, false);
	} while (err == -EEXIST);
	return err;
}

/* In a pool that is smaller than the number of workers some have the same one. */
static int share_source(struct dial *d)
{
	return use_source(d, d->worker->index % pool_size(d), true);
}

static bool has_source_yet(const struct dial *d)
{
	return d->source.any.sa_family != AF_UNSPEC;
}

/* The pool's fault; anything else (no open files, no memory) says nothing of its addresses. */
static bool is_of_pool(int err)
{
	return err == -ENOENT || err == -EEXIST || err == -EADDRNOTAVAIL || err == -EPERM ||
	       err == -EACCES;
}

/* 0: there is one to use, a new one or, when no other can be had, the old one. */
static int change_source(struct dial *d)
{
	int err = take_source(d);
	bool is_last = err != 0;

	if (err == -ENOENT && !has_source_yet(d))
		err = share_source(d);
	if (err && !is_of_pool(err))
		return err;
	d->is_last_source = is_last;
	if (!err || has_source_yet(d))
		return 0;
	d->stopped_by = CAUSE_NO_SOURCE;
	return err;
}

bool dial_may(const struct dial *d)
{
	return d->stopped_by == CAUSE_NONE && atomic_load(&d->worker->board->stop) == CAUSE_NONE;
}

int dial_open(struct dial *d, int flags)
{
	int err = 0;

	if (!d->has_source)
		return open_socket(d->worker->plan, NULL, flags);
	if (d->source_used >= SOURCE_CONNECTIONS_MAX && !d->is_last_source)
		err = change_source(d);
	if (err)
		return err;
	d->source_used++;
	return open_socket(d->worker->plan, &d->source, flags);
}

void dial_succeeded(struct dial *d)
{
	tally(&d->worker->result->connected);
	d->failed_in_row = 0;
	d->success_ns = clock_now_ns();
}

/* A limit that all further attempts of this process would meet: no failure of a connection. */
static bool is_final(enum cause cause)
{
	return cause == CAUSE_PROCESS_FILES || cause == CAUSE_NO_PORTS || cause == CAUSE_NO_SOURCE;
}

static bool is_hopeless(const struct dial *d)
{
	uint64_t patience_ns = FAILING_TIMEOUTS_MAX * d->worker->plan->timeout_ms * NS_PER_MS;

	return d->failed_in_row >= FAILED_IN_ROW_MAX ||
	       clock_now_ns() - d->success_ns > patience_ns;
}

bool dial_failed(struct dial *d, int err)
{
	enum cause cause = d->stopped_by == CAUSE_NO_SOURCE ? CAUSE_NO_SOURCE : cause_of(err);

	if (cause == CAUSE_NO_PORTS && d->has_source && !d->is_last_source) {
		err = take_source(d);
		if (!err)
			return false;
		if (is_of_pool(err))
			d->is_last_source = true;
		else
			cause = cause_of(err);
	}
	d->failed_in_row++;
	if (!is_final(cause))
		tally(&d->worker->result->failed[cause]);
	if (d->stopped_by == CAUSE_NONE && (is_final(cause) || is_hopeless(d)))
		d->stopped_by = cause;
	return true;
}

enum cause dial_stopped_by(const struct dial *d, bool were_all_tried)
{
	if (d->stopped_by != CAUSE_NONE || were_all_tried)
		return d->stopped_by;
	return atomic_load(&d->worker->board->stop);
}
