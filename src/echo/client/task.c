/* A task waits for an order, carries it out, and says so. At depth 1 a message is one send(2) and
 * one recv(2). When more is outstanding than the sockets hold, the server does not read on until we
 * do: so nothing here waits for room to send alone. */
#include "echo/client/task.h"

#include "common/base/clock.h"
#include "echo/client/meter.h"
#include "echo/client/sample.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Only while a task has something to say, for 40,000 are quiet most of the time. */
struct scratch {
	struct meter meter;
	struct measured measured;
	uint8_t buffer[PATTERN_PIECE_MAX];
};

static void end_connection(struct task *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

/* ---- one exchange ---- */
/* `ret_is_full`: there is more to send and no room for it. */
static int send_all_that_fits(struct task *t, bool *ret_is_full)
{
	const uint8_t *bytes;
	size_t len;

	*ret_is_full = false;
	while ((len = exchange_next(&t->exchange, t->worker->pattern, &bytes)) > 0) {
		uint64_t before_ns = clock_now_ns();
		ssize_t n = send(t->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			*ret_is_full = true;
			return 0;
		}
		if (n < 0)
			return -errno;
		exchange_sent(&t->exchange, (size_t)n, before_ns);
	}
	return 0;
}

/* Until there is something to read or room to send. */
static int wait_for_either(const struct task *t)
{
	struct pollfd poll_fd = {.fd = t->fd, .events = POLLIN | POLLOUT};
	int count = poll(&poll_fd, 1, (int)t->worker->plan->timeout_ms);

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	return count == 0 ? -ETIMEDOUT : 0;
}

static int take(struct task *t, struct scratch *s, size_t len)
{
	uint64_t now = clock_now_ns();
	struct news news;
	int err = exchange_received(&t->exchange, t->worker->pattern, s->buffer, len, now, &news);

	if (err)
		return err;
	meter_add(&s->meter, &news, now);
	if (meter_is_over(&s->meter, now))
		exchange_stop(&t->exchange);
	return 0;
}

/* Waits for bytes unless it is told not to. */
static int receive(struct task *t, struct scratch *s, int flags)
{
	ssize_t n = recv(t->fd, s->buffer, sizeof(s->buffer), flags);

	if (n > 0)
		return take(t, s, (size_t)n);
	if (n == 0)
		return -ENODATA;
	if (errno == EINTR || (errno == EAGAIN && (flags & MSG_DONTWAIT)))
		return 0;
	return errno == EAGAIN ? -ETIMEDOUT : -errno;
}

/* Until it is done, which the meter's end brings about when it is endless. */
static int run_exchange(struct task *t, struct scratch *s)
{
	int err = 0;

	while (!err && !exchange_is_done(&t->exchange)) {
		bool is_full;

		err = send_all_that_fits(t, &is_full);
		if (!err && is_full)
			err = wait_for_either(t);
		if (!err)
			err = receive(t, s, is_full ? MSG_DONTWAIT : 0);
	}
	return err;
}

/* ---- orders ---- */
static void count_outcome(struct task *t, int err)
{
	struct result *result = t->worker->result;

	if (err == -EBADMSG)
		result_wrong(result, t->exchange.seed, t->exchange.received);
	else
		result_count(result, outcome_of(err));
	if (err)
		end_connection(t);
}

static void verify_message(struct task *t)
{
	struct scratch *scratch = malloc(sizeof(*scratch));
	int err = -ENOMEM;

	if (scratch) {
		scratch->meter = (struct meter){.board = t->worker->board};
		exchange_begin(&t->exchange, t->worker->plan->sizes[0], 1, 1);
		err = run_exchange(t, scratch);
	}
	if (!err)
		tally(&t->worker->result->verified);
	count_outcome(t, err);
	free(scratch);
}

static bool is_quiet(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* `sample` connections are to be verified. */
static void verify(struct task *t, uint32_t sample)
{
	struct result *result = t->worker->result;

	if (!is_quiet(t->fd)) {
		result_count(result, OUTCOME_DROPPED);
		end_connection(t);
		return;
	}
	tally(&result->held);
	if (!sample_has(t->index, *t->count, sample))
		return;
	orders_take_turn(&result->orders);
	if (atomic_load(&t->worker->board->stop) != CAUSE_INTERRUPTED)
		verify_message(t);
	orders_give_turn(&result->orders);
}

static void run(struct task *t, uint32_t size_index)
{
	const struct plan *plan = t->worker->plan;
	struct scratch *scratch = malloc(sizeof(*scratch));
	int err = -ENOMEM;

	if (scratch) {
		measured_init(&scratch->measured);
		scratch->meter = (struct meter){t->worker->board, &scratch->measured};
		exchange_begin(&t->exchange, plan->sizes[size_index], plan->depth,
			       EXCHANGE_ENDLESS);
		err = run_exchange(t, scratch);
		result_measured(t->worker->result, size_index, &scratch->measured);
	}
	count_outcome(t, err);
	free(scratch);
}

void task_main(struct task *t)
{
	for (;;) {
		struct order order;
		uint32_t number =
			orders_wait(&t->worker->result->orders, atomic_load(t->seen), &order);

		if (order.stage == STAGE_END)
			break;
		if (order.stage == STAGE_VERIFY && t->fd >= 0)
			verify(t, order.count);
		if (order.stage == STAGE_RUN && t->fd >= 0)
			run(t, order.count);
		atomic_store(t->seen, number);
		if (orders_carried_out(&t->worker->result->orders) == atomic_load(t->count))
			eventfd_write(t->done_fd, 1);
	}
	end_connection(t);
}
