/* The memory file: see board.h. */
#include "mcast/common/board.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const drop_reason_names[DROP_REASONS] = {
	[DROP_COPY] = "copy",		[DROP_ALIEN] = "alien", [DROP_LOOP] = "loop",
	[DROP_TRUNCATED] = "truncated", [DROP_BUSY] = "busy",	[DROP_DOWN] = "down",
	[DROP_REFUSED] = "refused",
};

int board_create(void)
{
	const uint32_t head[2] = {BOARD_VERSION, sizeof(struct board)};
	int fd = memfd_create("multicast_relay board", MFD_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(struct board)) == 0 &&
	    pwrite(fd, head, sizeof(head), offsetof(struct board, version)) == sizeof(head))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static struct board *fail(const char *why, const char **ret_why)
{
	*ret_why = why;
	return NULL;
}

struct board *board_map(int fd, const char **ret_why)
{
	struct board *b;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return fail("it is no file", ret_why);
	if (st.st_size != (off_t)sizeof(*b))
		return fail("it has another size", ret_why);
	b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (b == MAP_FAILED)
		return fail("it cannot be mapped", ret_why);
	if (b->version == BOARD_VERSION && b->size == sizeof(*b))
		return b;
	board_unmap(b);
	return fail("it is of another version", ret_why);
}

void board_unmap(struct board *b)
{
	if (b)
		munmap(b, sizeof(*b));
}

/* Several workers count the same port. */
static void count_port(struct board *b, uint16_t port, int by)
{
	__atomic_fetch_add(&b->port_users[port], (uint16_t)by, __ATOMIC_RELAXED);
}

bool board_enter_port(struct board *b, uint32_t seat, uint16_t port)
{
	struct board_worker *w = &b->workers[seat];

	for (size_t i = 0; i < BOARD_PORTS_MAX; i++) {
		if (w->ports[i])
			continue;
		w->ports[i] = port;
		count_port(b, port, 1);
		return true;
	}
	return false;
}

void board_leave_port(struct board *b, uint32_t seat, uint16_t port)
{
	struct board_worker *w = &b->workers[seat];

	for (size_t i = 0; i < BOARD_PORTS_MAX; i++) {
		if (w->ports[i] != port)
			continue;
		w->ports[i] = 0;
		count_port(b, port, -1);
		return;
	}
}

void board_clear_seat(struct board *b, uint32_t seat)
{
	for (size_t i = 0; i < BOARD_PORTS_MAX; i++)
		if (b->workers[seat].ports[i])
			count_port(b, b->workers[seat].ports[i], -1);
	b->workers[seat] = (struct board_worker){0};
}
