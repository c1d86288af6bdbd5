/* Rings of XDP sockets (Documentation/networking/af_xdp.rst of Linux): see ring.h.
 *
 * All sockets of one queue of an interface share its frames, which the founder has made: a memory
 * file. The kernel takes empty frames from one ring ("fill"), puts packets into them, and says in
 * the ring of one socket ("rx") which frame has its packet. Who has read it puts the frame back.
 * Several processes do that, so there is a lock; and none of them may lose a frame by dying:
 *
 * - The lock is one that tells the next one when its owner has died.
 * - Frames that were taken and not given back yet stand in the shared memory, by seat. The next
 *   reader of the seat gives them back.
 *
 * How far a ring was read stands in the ring. Linux 6.4: rings of a socket that is bound can be
 * mapped. */
#include "mcast/relay/ring.h"

#include "common/base/limits.h"
#include "mcast/relay/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_vlan.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_BYTES 2048u
/* The kernel's own room in front of a packet (XDP_PACKET_HEADROOM). */
#define FRAME_FRONT_BYTES 256u
_Static_assert(STEER_XDP_BYTES_MAX <= FRAME_BYTES - FRAME_FRONT_BYTES, "a packet in a frame");
#define FRAMES_MIN 2048u
#define FRAMES_MAX (1u << 20)
/* What one turn takes, with those that it drops: then it waits for the next turn. */
#define HELD_MAX 256u
_Static_assert(FRAMES_MIN >= 4 * HELD_MAX, "frames for several seats");
/* A founder's own rings: it receives and sends nothing. */
#define UNUSED_ENTRIES 2u

/* Of a seat: what it has taken, and not given back. */
struct held {
	uint32_t count;
	uint32_t is_giving; /* they are being put into the fill ring, */
	uint32_t giving_to; /* and are there when its producer is this */
	uint32_t frames[HELD_MAX];
};

/* What the memory file begins with; then come the frames. */
struct shared {
	pthread_mutex_t lock; /* of the fill ring's producer */
	struct held held[BOARD_WORKERS_MAX];
};

#define FRAMES_AT ((sizeof(struct shared) + 4095) / 4096 * 4096)

/* A ring of the kernel's, mapped. */
struct view {
	void *memory;
	size_t bytes;
	uint32_t *producer, *consumer;
	void *entries;
	uint32_t mask;
};

struct xdp_ring {
	struct ring ring;
	struct shared *shared; /* with the frames behind it */
	struct view rx, fill;
};

/* A founder's descriptors. */
enum { SOCKET, MEMORY, LINK };

static struct xdp_ring *xdp_of(const struct ring *r)
{
	return container_of((struct ring *)(uintptr_t)r, struct xdp_ring, ring);
}

static uint32_t xdp_size_for(size_t bytes)
{
	uint32_t count = FRAMES_MIN;

	while (count < FRAMES_MAX && (size_t)count * 2 * FRAME_BYTES <= bytes)
		count *= 2;
	return count;
}

/* A seat that does not read has so many frames, and HELD_MAX: three others have some, too. */
static uint32_t rx_entries(const struct ring *r)
{
	return r->size / 4;
}

/* ---- memory ---- */

static size_t shared_bytes(const struct ring *r)
{
	return FRAMES_AT + (size_t)r->size * FRAME_BYTES;
}

static int map_shared(struct xdp_ring *x, int fd)
{
	void *memory =
		mmap(NULL, shared_bytes(&x->ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	x->shared = memory;
	return 0;
}

static uint8_t *frames_of(const struct xdp_ring *x)
{
	return (uint8_t *)x->shared + FRAMES_AT;
}

static void view_unmap(struct view *v)
{
	if (v->memory)
		munmap(v->memory, v->bytes);
	*v = (struct view){0};
}

static int view_map(struct view *v, int fd, off_t at, const struct xdp_ring_offset *offset,
		    uint32_t entries, size_t entry_bytes)
{
	uint8_t *memory;

	v->bytes = offset->desc + entries * entry_bytes;
	memory = mmap(NULL, v->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, at);
	if (memory == MAP_FAILED)
		return -errno;
	v->memory = memory;
	v->producer = (uint32_t *)(void *)(memory + offset->producer);
	v->consumer = (uint32_t *)(void *)(memory + offset->consumer);
	v->entries = memory + offset->desc;
	v->mask = entries - 1;
	return 0;
}

static int offsets_of(int fd, struct xdp_mmap_offsets *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, ret, &len) < 0 ? -errno : 0;
}

static int map_fill(struct xdp_ring *x, int fd)
{
	struct xdp_mmap_offsets offsets;
	int err = offsets_of(fd, &offsets);

	return err ? err
		   : view_map(&x->fill, fd, (off_t)XDP_UMEM_PGOFF_FILL_RING, &offsets.fr,
			      x->ring.size, sizeof(uint64_t));
}

static int map_rx(struct xdp_ring *x)
{
	int fd = x->ring.fds[SOCKET];
	struct xdp_mmap_offsets offsets;
	int err = offsets_of(fd, &offsets);

	return err ? err
		   : view_map(&x->rx, fd, XDP_PGOFF_RX_RING, &offsets.rx, rx_entries(&x->ring),
			      sizeof(struct xdp_desc));
}

static void xdp_unmap(struct ring *ring)
{
	struct xdp_ring *x = xdp_of(ring);

	view_unmap(&x->rx);
	view_unmap(&x->fill);
	if (x->shared)
		munmap(x->shared, shared_bytes(ring));
	x->shared = NULL;
}

/* ---- giving frames to the kernel ---- */

static uint32_t load(const uint32_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* There is room for all frames. */
static void put(struct xdp_ring *x, uint32_t at, uint32_t frame)
{
	((uint64_t *)x->fill.entries)[at & x->fill.mask] = (uint64_t)frame * FRAME_BYTES;
}

/* Who had the lock has died: were its frames given back, or not? */
static void finish_giving(struct xdp_ring *x)
{
	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++) {
		struct held *h = &x->shared->held[i];

		if (h->is_giving && load(x->fill.producer) == h->giving_to)
			store(&h->count, 0);
		store(&h->is_giving, 0);
	}
}

static void lock(struct xdp_ring *x)
{
	if (pthread_mutex_lock(&x->shared->lock) == EOWNERDEAD) {
		finish_giving(x);
		pthread_mutex_consistent(&x->shared->lock);
	}
}

static void give_held(struct xdp_ring *x)
{
	struct held *h = &x->shared->held[x->ring.seat];
	uint32_t at = load(x->fill.producer);

	for (uint32_t i = 0; i < h->count; i++)
		put(x, at + i, h->frames[i]);
	store(&h->giving_to, at + h->count);
	store(&h->is_giving, 1);
	store(x->fill.producer, at + h->count);
	store(&h->count, 0);
	store(&h->is_giving, 0);
}

static void xdp_give_back(struct ring *ring)
{
	struct xdp_ring *x = xdp_of(ring);

	if (x->shared->held[ring->seat].count == 0)
		return;
	lock(x);
	give_held(x);
	pthread_mutex_unlock(&x->shared->lock);
}

/* ---- opening ---- */

static void make_lock(pthread_mutex_t *ret)
{
	pthread_mutexattr_t kind;

	pthread_mutexattr_init(&kind);
	pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(ret, &kind);
	pthread_mutexattr_destroy(&kind);
}

static int make_shared(struct xdp_ring *x)
{
	int fd = memfd_create("multicast_relay frames", MFD_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	x->ring.fds[MEMORY] = fd;
	if (ftruncate(fd, (off_t)shared_bytes(&x->ring)) < 0)
		return -errno;
	err = map_shared(x, fd);
	if (!err)
		make_lock(&x->shared->lock);
	return err;
}

/* Frames count as memory that is locked, of which who is not root may have little. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &limit);
}

static int set_frames(const struct xdp_ring *x)
{
	struct xdp_umem_reg frames = {.addr = (uintptr_t)frames_of(x),
				      .len = (uint64_t)x->ring.size * FRAME_BYTES,
				      .chunk_size = FRAME_BYTES};
	int fd = x->ring.fds[SOCKET], err;

	raise_limit();
	if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &frames, sizeof(frames)) < 0)
		return -errno;
	err = socket_set(fd, SOL_XDP, XDP_UMEM_FILL_RING, (int)x->ring.size);
	if (!err)
		err = socket_set(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, UNUSED_ENTRIES);
	if (!err)
		err = socket_set(fd, SOL_XDP, XDP_RX_RING, UNUSED_ENTRIES);
	return err;
}

static int fill(struct xdp_ring *x)
{
	int err = map_fill(x, x->ring.fds[SOCKET]);

	if (err)
		return err;
	for (uint32_t i = 0; i < x->ring.size; i++)
		put(x, i, i);
	store(x->fill.producer, x->ring.size);
	return 0;
}

static int bind_to(const struct ring *r, const struct ring *founder)
{
	/* Drivers that put packets into our frames themselves are left alone: packets for others
	 * would be copied then. */
	struct sockaddr_xdp at = {.sxdp_family = AF_XDP,
				  .sxdp_flags = XDP_COPY,
				  .sxdp_ifindex = r->interface,
				  .sxdp_queue_id = r->queue};

	if (founder) {
		at.sxdp_flags = XDP_SHARED_UMEM;
		at.sxdp_shared_umem_fd = (uint32_t)founder->fds[SOCKET];
	}
	return bind(r->fds[SOCKET], (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
}

/* The program is the interface's: all founders keep it there. */
static int attach(struct ring *r, const struct ring *before, int program_fd)
{
	int fd = before ? fcntl(before->fds[LINK], F_DUPFD_CLOEXEC, 0)
			: steer_attach(program_fd, r->interface);

	if (fd < 0)
		return before ? -errno : fd;
	r->fds[LINK] = fd;
	return 0;
}

/* Is `name` a VLAN of `below`: 1 or 0; negative: this kernel has no VLANs. */
static int is_vlan_of(int fd, const char *name, const char *below)
{
	struct vlan_ioctl_args ask = {.cmd = GET_VLAN_REALDEV_NAME_CMD};

	strncpy(ask.device1, name, sizeof(ask.device1) - 1);
	if (ioctl(fd, SIOCGIFVLAN, &ask) < 0)
		return errno == ENOPKG ? -ENOPKG : 0;
	return strcmp(ask.u.device2, below) == 0;
}

/* Drivers take tags off: the program would take what comes for a VLAN for the interface's own. */
static bool has_vlans(int fd, unsigned interface)
{
	struct if_nameindex *all = if_nameindex();
	char below[IF_NAMESIZE] = "";
	int found = 0;

	if_indextoname(interface, below);
	for (const struct if_nameindex *one = all; one && one->if_index && found == 0; one++)
		found = is_vlan_of(fd, one->if_name, below);
	if (all)
		if_freenameindex(all);
	return found > 0;
}

static int found(struct xdp_ring *x, const struct ring *before, int program_fd)
{
	int err;

	if (!before && has_vlans(x->ring.fds[SOCKET], x->ring.interface))
		return -EBUSY;
	err = make_shared(x);

	if (!err)
		err = set_frames(x);
	if (!err)
		err = fill(x);
	if (!err)
		err = bind_to(&x->ring, NULL);
	if (!err)
		err = attach(&x->ring, before, program_fd);
	xdp_unmap(&x->ring);
	return err;
}

static int xdp_open(struct ring *r, const struct ring *founder, int program_fd)
{
	int err;

	r->fds[SOCKET] = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r->fds[SOCKET] < 0)
		return -errno;
	if (ring_is_founder(r))
		return found(xdp_of(r), founder, program_fd);
	err = socket_set(r->fds[SOCKET], SOL_XDP, XDP_RX_RING, (int)rx_entries(r));
	return err ? err : bind_to(r, founder);
}

static uint64_t xdp_drops(const struct ring *r, const struct board_ring *counted)
{
	struct xdp_statistics now = {0};
	socklen_t len = sizeof(now);

	getsockopt(r->fds[SOCKET], SOL_XDP, XDP_STATISTICS, &now, &len);
	return counted->queue_drops + now.rx_dropped + now.rx_ring_full;
}

/* ---- reading ---- */

static const struct xdp_desc *next_of(const struct xdp_ring *x)
{
	uint32_t at = *x->rx.consumer;

	if (load(x->rx.producer) == at)
		return NULL;
	return &((const struct xdp_desc *)x->rx.entries)[at & x->rx.mask];
}

static uint32_t frame_of(const struct xdp_desc *d)
{
	return (uint32_t)(d->addr / FRAME_BYTES);
}

/* What the seat's last reader had, when it has died. A packet that it was about to take is still to
 * be read. */
static void give_left_ones(struct xdp_ring *x)
{
	struct held *h = &x->shared->held[x->ring.seat];
	const struct xdp_desc *next = next_of(x);

	lock(x);
	if (next && h->count > 0 && h->frames[h->count - 1] == frame_of(next))
		store(&h->count, h->count - 1);
	give_held(x);
	pthread_mutex_unlock(&x->shared->lock);
}

static int xdp_map(struct ring *ring, const struct ring *founder)
{
	struct xdp_ring *x = xdp_of(ring);
	int err = founder ? map_shared(x, founder->fds[MEMORY]) : -ENOENT;

	if (!err)
		err = map_fill(x, founder->fds[SOCKET]);
	if (!err)
		err = map_rx(x);
	if (err)
		xdp_unmap(ring);
	else
		give_left_ones(x);
	return err;
}

static bool xdp_peek(struct ring *ring, struct ring_packet *ret)
{
	const struct xdp_ring *x = xdp_of(ring);
	const struct xdp_desc *d = next_of(x);

	if (!d || x->shared->held[ring->seat].count == HELD_MAX)
		return false;
	*ret = (struct ring_packet){.bytes = frames_of(x) + d->addr + ETH_HLEN,
				    .len = d->len > ETH_HLEN ? d->len - ETH_HLEN : 0,
				    .sum = DATAGRAM_SUM_BEGUN};
	return true;
}

static void xdp_take(struct ring *ring)
{
	struct xdp_ring *x = xdp_of(ring);
	struct held *h = &x->shared->held[ring->seat];

	h->frames[h->count] = frame_of(next_of(x));
	store(&h->count, h->count + 1);
	store(x->rx.consumer, *x->rx.consumer + 1);
}

/* ---- marks ---- */

static uint64_t place_of(uint32_t count)
{
	return count | 1ull << 32;
}

static uint64_t xdp_place(const struct ring *r)
{
	return place_of(*xdp_of(r)->rx.consumer);
}

static uint64_t xdp_mark(const struct ring *r)
{
	return place_of(load(xdp_of(r)->rx.producer));
}

static bool xdp_is_past(const struct ring *r, uint64_t mark)
{
	return (int32_t)((uint32_t)xdp_place(r) - (uint32_t)mark) >= 0;
}

const struct ring_kind ring_xdp = {.name = "xdp",
				   .object_bytes = sizeof(struct xdp_ring),
				   .steer = STEER_XDP,
				   .size_for = xdp_size_for,
				   .open = xdp_open,
				   .drops = xdp_drops,
				   .map = xdp_map,
				   .unmap = xdp_unmap,
				   .peek = xdp_peek,
				   .take = xdp_take,
				   .give_back = xdp_give_back,
				   .place = xdp_place,
				   .mark = xdp_mark,
				   .is_past = xdp_is_past};
