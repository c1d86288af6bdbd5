/* The loop: read what has come, send what is due, sleep until something is. */
#include "emulator/emulator.h"

#include "common/base/log.h"
#include "common/base/minmax.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define EVENTS_MAX 64

/* One end of a link in the loop. */
struct plug {
	struct watch watch;
	struct emulator *emulator;
	struct cable *cable;
	size_t end;
};

struct joint {
	struct cable cable;
	struct plug plugs[2];
};

uint64_t emulator_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int emulator_init(struct emulator *e, uint64_t seed)
{
	*e = (struct emulator){.epoll_fd = -1, .seed = seed};
	list_init(&e->cables);
	e->inbox = malloc(sizeof(*e->inbox));
	if (!e->inbox)
		return -ENOMEM;
	e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return e->epoll_fd < 0 ? -errno : 0;
}

void emulator_done(struct emulator *e)
{
	struct list *node;

	while ((node = list_pop_front(&e->cables)) != NULL) {
		struct cable *cable = container_of(node, struct cable, node);

		cable_close(cable);
		free(container_of(cable, struct joint, cable));
	}
	if (e->epoll_fd >= 0)
		close(e->epoll_fd);
	free(e->inbox);
}

static int watch(struct emulator *e, int fd, uint32_t events, struct watch *w)
{
	struct epoll_event event = {.events = events, .data.ptr = w};

	return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int emulator_watch(struct emulator *e, int fd, struct watch *w)
{
	return watch(e, fd, EPOLLIN, w);
}

int emulator_watch_room(struct emulator *e, int fd, struct watch *w)
{
	return watch(e, fd, EPOLLOUT, w);
}

void emulator_unwatch(struct emulator *e, int fd)
{
	epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void on_packets(struct watch *w)
{
	struct plug *plug = container_of(w, struct plug, watch);
	struct emulator *e = plug->emulator;
	int count = cable_receive(plug->cable, plug->end, e->inbox, emulator_clock_ns());

	if (count > 0)
		e->received_max = max_u64(e->received_max, (size_t)count);
	if (count != -EBADFD)
		return;
	/* It would be readable for ever. */
	log_warn("link %s: interface %s is gone", plug->cable->name,
		 plug->cable->ports[plug->end].interface);
	emulator_unwatch(e, plug->cable->ports[plug->end].fd);
}

static int plug_in(struct emulator *e, struct joint *j)
{
	int err = 0;

	for (size_t end = 0; end < 2 && !err; end++) {
		j->plugs[end] = (struct plug){{on_packets}, e, &j->cable, end};
		err = emulator_watch(e, j->cable.ports[end].fd, &j->plugs[end].watch);
	}
	return err;
}

int emulator_join(struct emulator *e, const char *name, const char ends[2][END_NAME_MAX],
		  char ret_why[WHY_BYTES_MAX])
{
	struct joint *j;
	int err;

	if (e->cable_count == LINKS_MAX || emulator_find(e, name)) {
		snprintf(ret_why, WHY_BYTES_MAX, "link \"%s\": %s", name,
			 e->cable_count == LINKS_MAX ? "too many links" : "it is there already");
		return -EEXIST;
	}
	j = malloc(sizeof(*j));
	err = j ? cable_open(&j->cable, name, ends, e->seed, ret_why) : -ENOMEM;
	if (err) {
		free(j);
		return err;
	}
	err = plug_in(e, j);
	if (err) {
		snprintf(ret_why, WHY_BYTES_MAX, "link \"%s\": %s", name, strerror(-err));
		cable_close(&j->cable);
		free(j);
		return err;
	}
	e->seed += 2; /* one of each direction */
	e->cable_count++;
	list_push_back(&e->cables, &j->cable.node);
	return 0;
}

struct cable *emulator_find(const struct emulator *e, const char *name)
{
	list_for_each(node, &e->cables) {
		struct cable *cable = container_of(node, struct cable, node);

		if (strcmp(cable->name, name) == 0)
			return cable;
	}
	return NULL;
}

static uint64_t deliver(struct emulator *e)
{
	uint64_t next_ns = NEVER_NS;

	e->has_delivered = false;
	list_for_each(node, &e->cables) {
		struct cable *cable = container_of(node, struct cable, node);

		e->has_delivered |= cable_deliver(cable, emulator_clock_ns());
		next_ns = min_u64(next_ns, cable_next_ns(cable));
	}
	return next_ns;
}

/* Not interrupted: signals come through a descriptor. */
static void sleep_until(uint64_t when_ns)
{
	struct timespec when = {(time_t)(when_ns / NS_PER_S), (long)(when_ns % NS_PER_S)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

/* Descriptors that are readable, waiting for them until `when_ns`. */
static int wait_until(const struct emulator *e, uint64_t when_ns, struct epoll_event *ret_events)
{
	uint64_t now_ns = emulator_clock_ns();
	uint64_t rest_ns = when_ns > now_ns ? when_ns - now_ns : 0;
	struct timespec rest = {(time_t)(rest_ns / NS_PER_S), (long)(rest_ns % NS_PER_S)};
	int count = epoll_pwait2(e->epoll_fd, ret_events, EVENTS_MAX,
				 when_ns == NEVER_NS ? NULL : &rest, NULL);

	return count < 0 && errno != EINTR ? -errno : count < 0 ? 0 : count;
}

/* After a turn that moved packets others are near, and those of TURN_NS share the next one. A full
 * batch means that there are more already. */
static int wait(struct emulator *e, uint64_t turn_ns, uint64_t next_ns,
		struct epoll_event *ret_events)
{
	if (e->received_max == 0 && !e->has_delivered)
		return wait_until(e, next_ns == NEVER_NS ? NEVER_NS : next_ns - EARLY_NS,
				  ret_events);
	if (e->received_max < BATCH_PACKETS)
		sleep_until(turn_ns + TURN_NS);
	return wait_until(e, 0, ret_events);
}

int emulator_run(struct emulator *e)
{
	struct epoll_event events[EVENTS_MAX];

	while (!e->is_ending) {
		uint64_t turn_ns = emulator_clock_ns();
		int count = wait(e, turn_ns, deliver(e), events);

		if (count < 0)
			return count;
		e->received_max = 0;
		for (int i = 0; i < count; i++) {
			struct watch *w = events[i].data.ptr;

			w->on_ready(w);
		}
	}
	return 0;
}
