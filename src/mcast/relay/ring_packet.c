/* Rings of packet sockets, TPACKET_V3 (Documentation/networking/packet_mmap.rst of Linux): see
 * ring.h. Those of an interface are a fanout group, of which the founder is the first: it has no
 * memory, and drops what nobody wants. How far a ring was read stands on the board. */
#include "mcast/relay/ring.h"

#include "common/base/limits.h"
#include "mcast/relay/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* A packet does not cross blocks, and the kernel puts up to 64 KiB of datagrams together. */
#define BLOCK_BYTES (128u * KIB)
#define BLOCKS_MIN 4u
/* A block that is not full is handed over after so long: delay, and turns for nothing. */
#define RETIRE_MS 2u
/* Newer than the headers of some systems (Linux 5.8). */
#define FANOUT_IGNORE_OUTGOING 0x4000u
/* For each worker, also while it is replaced, and the one for what nobody wants. */
#define MEMBERS_MAX (BOARD_WORKERS_MAX + 1u)
/* virtio's number of "several UDP datagrams" (Linux 6.2). */
#define GSO_UDP_L4 5u
/* Only its multiples matter: packets lie one behind the other. */
#define FRAME_BYTES 2048u
/* How many packets of a block were taken, in a mark; a block has far fewer. */
#define TAKEN_BITS 16u

struct packet_ring {
	struct ring ring;
	uint8_t *memory;
	uint64_t block;	      /* the kernel's number of the block that is being read, */
	uint32_t taken;	      /* how many of its packets are done with, */
	const uint8_t *next;  /* and the first that is not; NULL: look for it */
	uint64_t given_block; /* those before this one are the kernel's again */
};

static struct packet_ring *packet_of(const struct ring *r)
{
	return container_of((struct ring *)(uintptr_t)r, struct packet_ring, ring);
}

/* ---- opening ---- */

static uint32_t packet_size_for(size_t bytes)
{
	size_t count = bytes / BLOCK_BYTES;

	return count < BLOCKS_MIN ? BLOCKS_MIN : (uint32_t)count;
}

/* Until it is in the group, a socket is handed every packet of its interface. */
static int drop_all(int fd)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog program = {.len = 1, .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

static int make_memory(int fd, uint32_t blocks)
{
	struct tpacket_req3 request = {
		.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = blocks,
		.tp_frame_size = FRAME_BYTES,
		.tp_frame_nr = BLOCK_BYTES / FRAME_BYTES * blocks,
		.tp_retire_blk_tov = RETIRE_MS,
	};
	int err = socket_set(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V3);

	if (!err)
		err = socket_set(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
	if (!err && setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0)
		err = -errno;
	return err;
}

static int bind_to(int fd, unsigned interface)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)interface};

	return bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
}

static int group_of(const struct ring *founder, uint16_t *ret)
{
	int value;
	socklen_t len = sizeof(value);

	if (getsockopt(founder->fds[0], SOL_PACKET, PACKET_FANOUT, &value, &len) < 0)
		return -errno;
	*ret = (uint16_t)value;
	return 0;
}

/* Fragments are put together before the program sees them. */
static int join_group(int fd, uint16_t group, unsigned flags)
{
	struct fanout_args join = {.id = group,
				   .type_flags = (uint16_t)(PACKET_FANOUT_EBPF |
							    PACKET_FANOUT_FLAG_DEFRAG |
							    FANOUT_IGNORE_OUTGOING | flags),
				   .max_num_members = MEMBERS_MAX};

	return setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &join, sizeof(join)) < 0 ? -errno : 0;
}

static int found_group(int fd, int program_fd)
{
	int err = join_group(fd, 0, PACKET_FANOUT_FLAG_UNIQUEID);

	if (!err &&
	    setsockopt(fd, SOL_PACKET, PACKET_FANOUT_DATA, &program_fd, sizeof(program_fd)) < 0)
		err = -errno;
	return err;
}

static int set_up(const struct ring *r, const struct ring *founder, int program_fd)
{
	int fd = r->fds[0], err = drop_all(fd);
	uint16_t group = 0;

	if (!err)
		err = socket_set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	if (!err && founder)
		err = make_memory(fd, r->size);
	if (!err)
		err = bind_to(fd, r->interface);
	if (!err && !founder)
		return found_group(fd, program_fd);
	if (!err)
		err = group_of(founder, &group);
	if (!err)
		err = join_group(fd, group, 0);
	return err ? err : socket_set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

static int packet_open(struct ring *r, const struct ring *founder, int program_fd)
{
	if (r->queue > 0)
		return -EINVAL; /* a packet socket has all queues */
	/* Protocol 0: nothing comes before it is bound. */
	r->fds[0] = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r->fds[0] < 0)
		return -errno;
	return set_up(r, founder, program_fd);
}

static uint64_t packet_drops(const struct ring *r, const struct board_ring *counted)
{
	(void)r;
	return counted->queue_drops;
}

/* ---- blocks ---- */

/* The kernel numbers blocks from 1, and goes round. */
static struct tpacket_hdr_v1 *block_at(const struct packet_ring *r, uint64_t number)
{
	uint64_t index = (number - 1) % r->ring.size;
	void *block = r->memory + index * BLOCK_BYTES;

	return &((struct tpacket_block_desc *)block)->hdr.bh1;
}

static bool is_ours(const struct tpacket_hdr_v1 *b)
{
	return __atomic_load_n(&b->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}

static void give(struct tpacket_hdr_v1 *b)
{
	__atomic_store_n(&b->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

static uint64_t mark_of(uint64_t block, uint32_t taken)
{
	return block << TAKEN_BITS | taken;
}

static uint64_t place_of(const struct packet_ring *r)
{
	return mark_of(r->block, r->taken);
}

static void note_place(struct packet_ring *r)
{
	__atomic_store_n(&r->ring.board->place, place_of(r), __ATOMIC_RELEASE);
}

/* The kernel forgets its count when it has told it. */
static void count_drops(struct packet_ring *r)
{
	struct tpacket_stats_v3 counted;
	socklen_t len = sizeof(counted);

	if (getsockopt(r->ring.fds[0], SOL_PACKET, PACKET_STATISTICS, &counted, &len) == 0)
		r->ring.board->queue_drops += counted.tp_drops;
}

/* Blocks whose last reader died before it could give them back. */
static void give_left_ones(struct packet_ring *r)
{
	for (uint64_t i = 1; i <= r->ring.size; i++) {
		struct tpacket_hdr_v1 *b = block_at(r, i);

		if (is_ours(b) && b->seq_num < r->block)
			give(b);
	}
}

static int packet_map(struct ring *ring, const struct ring *founder)
{
	struct packet_ring *r = packet_of(ring);
	void *memory = mmap(NULL, (size_t)ring->size * BLOCK_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED, ring->fds[0], 0);
	uint64_t place = ring->board->place;

	(void)founder;
	if (memory == MAP_FAILED)
		return -errno;
	r->memory = memory;
	r->block = place ? place >> TAKEN_BITS : 1;
	r->taken = (uint32_t)(place & ((1u << TAKEN_BITS) - 1));
	r->given_block = r->block;
	give_left_ones(r);
	return 0;
}

static void packet_unmap(struct ring *ring)
{
	struct packet_ring *r = packet_of(ring);

	count_drops(r);
	munmap(r->memory, (size_t)ring->size * BLOCK_BYTES);
}

/* ---- reading ---- */

static struct tpacket3_hdr head_at(const uint8_t *at)
{
	struct tpacket3_hdr head;

	memcpy(&head, at, sizeof(head));
	return head;
}

/* In a block that is ours, behind those that were taken. */
static void find_next(struct packet_ring *r, const struct tpacket_hdr_v1 *b)
{
	r->next = (const uint8_t *)b - offsetof(struct tpacket_block_desc, hdr) +
		  b->offset_to_first_pkt;
	for (uint32_t i = 0; i < r->taken; i++)
		r->next += head_at(r->next).tp_next_offset;
}

/* The block in which the next packet is, or NULL. */
static struct tpacket_hdr_v1 *next_block(struct packet_ring *r)
{
	for (;;) {
		struct tpacket_hdr_v1 *b = block_at(r, r->block);

		/* Another number: it was not given back since the last round. */
		if (!is_ours(b) || b->seq_num != r->block)
			return NULL;
		if (r->taken < b->num_pkts)
			return b;
		if (b->block_status & TP_STATUS_LOSING)
			count_drops(r);
		r->block++;
		r->taken = 0;
		r->next = NULL;
		note_place(r);
	}
}

/* What is to be cut into fragments (the older offload of UDP) is one datagram. */
static uint32_t segment_of(const struct virtio_net_hdr *offload)
{
	return (offload->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == GSO_UDP_L4 ? offload->gso_size : 0;
}

static enum datagram_sum sum_of(const struct tpacket3_hdr *head,
				const struct virtio_net_hdr *offload)
{
	if (head->tp_status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID) ||
	    offload->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID))
		return DATAGRAM_SUM_KNOWN;
	return DATAGRAM_SUM_TOLD;
}

/* Of what the link layer has before the IP header, only its length matters. */
static bool packet_peek(struct ring *ring, struct ring_packet *ret)
{
	struct packet_ring *r = packet_of(ring);
	struct tpacket_hdr_v1 *b = next_block(r);
	struct virtio_net_hdr offload;
	struct tpacket3_hdr head;
	uint32_t link_bytes;

	if (!b)
		return false;
	if (!r->next)
		find_next(r, b);
	head = head_at(r->next);
	memcpy(&offload, r->next + head.tp_mac - sizeof(offload), sizeof(offload));
	link_bytes = (uint32_t)head.tp_net - head.tp_mac;
	*ret = (struct ring_packet){.bytes = r->next + head.tp_net,
				    .len = head.tp_snaplen > link_bytes
						   ? head.tp_snaplen - link_bytes
						   : 0,
				    .segment_bytes = segment_of(&offload),
				    .sum = sum_of(&head, &offload)};
	return true;
}

static void packet_take(struct ring *ring)
{
	struct packet_ring *r = packet_of(ring);

	r->next += head_at(r->next).tp_next_offset;
	r->taken++;
	note_place(r);
}

static void packet_give_back(struct ring *ring)
{
	struct packet_ring *r = packet_of(ring);

	for (; r->given_block < r->block; r->given_block++)
		give(block_at(r, r->given_block));
}

/* ---- marks ---- */

/* The kernel counts the packets of a block while it fills it. */
static uint64_t packet_mark(const struct ring *ring)
{
	const struct packet_ring *r = packet_of(ring);

	for (uint64_t i = r->block; i < r->block + ring->size; i++) {
		const struct tpacket_hdr_v1 *b = block_at(r, i);
		bool is_full = is_ours(b);

		if (b->seq_num != i)
			return mark_of(i, 0);
		if (!is_full)
			return mark_of(i, __atomic_load_n(&b->num_pkts, __ATOMIC_ACQUIRE));
	}
	return mark_of(r->block + ring->size, 0);
}

static uint64_t packet_place(const struct ring *r)
{
	return place_of(packet_of(r));
}

static bool packet_is_past(const struct ring *r, uint64_t mark)
{
	return packet_place(r) >= mark;
}

const struct ring_kind ring_packet = {.name = "packet",
				      .object_bytes = sizeof(struct packet_ring),
				      .steer = STEER_FANOUT,
				      .is_copy = true,
				      .size_for = packet_size_for,
				      .open = packet_open,
				      .drops = packet_drops,
				      .map = packet_map,
				      .unmap = packet_unmap,
				      .peek = packet_peek,
				      .take = packet_take,
				      .give_back = packet_give_back,
				      .place = packet_place,
				      .mark = packet_mark,
				      .is_past = packet_is_past};
