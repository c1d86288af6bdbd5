/* TPACKET_V3 (Documentation/networking/packet_mmap.rst of Linux): see ring.h. */
#include "mcast/relay/ring.h"

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

/* ---- opening ---- */

/* Until it is in the group, a socket is handed every packet of its interface. */
static int drop_all(int fd)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog program = {.len = 1, .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

static int make_memory(const struct ring *r)
{
	struct tpacket_req3 request = {
		.tp_block_size = RING_BLOCK_BYTES,
		.tp_block_nr = r->block_count,
		.tp_frame_size = FRAME_BYTES,
		.tp_frame_nr = RING_BLOCK_BYTES / FRAME_BYTES * r->block_count,
		.tp_retire_blk_tov = RING_RETIRE_MS,
	};
	int err = socket_set(r->fd, SOL_PACKET, PACKET_VERSION, TPACKET_V3);

	if (!err)
		err = socket_set(r->fd, SOL_PACKET, PACKET_VNET_HDR, 1);
	if (!err && setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0)
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

int ring_group(const struct ring *r, uint16_t *ret_group)
{
	int value;
	socklen_t len = sizeof(value);

	if (getsockopt(r->fd, SOL_PACKET, PACKET_FANOUT, &value, &len) < 0)
		return -errno;
	*ret_group = (uint16_t)value;
	return 0;
}

/* Fragments are put together before the program sees them. */
static int join_group(const struct ring *r, int program_fd, uint16_t *group)
{
	struct fanout_args join = {.id = *group,
				   .type_flags = PACKET_FANOUT_EBPF | PACKET_FANOUT_FLAG_DEFRAG |
						 FANOUT_IGNORE_OUTGOING,
				   .max_num_members = MEMBERS_MAX};

	if (r->member == 0) {
		join.id = 0;
		join.type_flags |= PACKET_FANOUT_FLAG_UNIQUEID;
	}
	if (setsockopt(r->fd, SOL_PACKET, PACKET_FANOUT, &join, sizeof(join)) < 0)
		return -errno;
	if (r->member > 0)
		return 0;
	if (setsockopt(r->fd, SOL_PACKET, PACKET_FANOUT_DATA, &program_fd, sizeof(program_fd)) < 0)
		return -errno;
	return ring_group(r, group);
}

static int set_up(const struct ring *r, int program_fd, uint16_t *group)
{
	int err = drop_all(r->fd);

	if (!err)
		err = socket_set(r->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	if (!err && r->block_count)
		err = make_memory(r);
	if (!err)
		err = bind_to(r->fd, r->interface);
	if (!err)
		err = join_group(r, program_fd, group);
	if (!err && r->block_count)
		err = socket_set(r->fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
	return err;
}

int ring_open(struct ring *r, int program_fd, uint16_t *group)
{
	int err;

	/* Protocol 0: nothing comes before it is bound. */
	r->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r->fd < 0)
		return -errno;
	err = set_up(r, program_fd, group);
	if (!err)
		return 0;
	close(r->fd);
	r->fd = -1;
	return err;
}

json_t *ring_to_message(const struct ring *r, const char *key)
{
	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", key, "ring", "id", (int)r->id,
			 "interface", (int)r->interface, "member", (int)r->member, "seat",
			 (int)r->seat, "blocks", (int)r->block_count);
}

void ring_from_message(struct ring *r, struct message *m)
{
	*r = (struct ring){.id = message_number(m, "id"),
			   .interface = message_number(m, "interface"),
			   .member = message_number(m, "member"),
			   .seat = message_number(m, "seat"),
			   .block_count = message_number(m, "blocks"),
			   .fd = m->fds[0]};
	m->fds[0] = -1;
}

/* ---- blocks ---- */

/* The kernel numbers blocks from 1, and goes round. */
static struct tpacket_hdr_v1 *block_at(const struct ring *r, uint64_t number)
{
	uint64_t index = (number - 1) % r->block_count;
	void *block = r->memory + index * RING_BLOCK_BYTES;

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

uint64_t ring_place(const struct ring *r)
{
	return mark_of(r->block, r->taken);
}

static void note_place(struct ring *r)
{
	__atomic_store_n(&r->board->place, ring_place(r), __ATOMIC_RELEASE);
}

/* The kernel forgets its count when it has told it. */
static void count_drops(struct ring *r)
{
	struct tpacket_stats_v3 counted;
	socklen_t len = sizeof(counted);

	if (getsockopt(r->fd, SOL_PACKET, PACKET_STATISTICS, &counted, &len) == 0)
		r->board->queue_drops += counted.tp_drops;
}

/* Blocks whose last reader died before it could give them back. */
static void give_left_ones(struct ring *r)
{
	for (uint64_t i = 1; i <= r->block_count; i++) {
		struct tpacket_hdr_v1 *b = block_at(r, i);

		if (is_ours(b) && b->seq_num < r->block)
			give(b);
	}
}

int ring_map(struct ring *r, struct board_ring *board)
{
	void *memory = mmap(NULL, (size_t)r->block_count * RING_BLOCK_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED, r->fd, 0);
	uint64_t place = board->place;

	if (memory == MAP_FAILED)
		return -errno;
	r->memory = memory;
	r->board = board;
	r->block = place ? place >> TAKEN_BITS : 1;
	r->taken = (uint32_t)(place & ((1u << TAKEN_BITS) - 1));
	r->next = NULL;
	r->given_block = r->block;
	give_left_ones(r);
	return 0;
}

void ring_done(struct ring *r)
{
	if (r->memory) {
		count_drops(r);
		munmap(r->memory, (size_t)r->block_count * RING_BLOCK_BYTES);
	}
	if (r->fd >= 0)
		close(r->fd);
	r->memory = NULL;
	r->fd = -1;
}

/* ---- reading ---- */

static struct tpacket3_hdr head_at(const uint8_t *at)
{
	struct tpacket3_hdr head;

	memcpy(&head, at, sizeof(head));
	return head;
}

/* In a block that is ours, behind those that were taken. */
static void find_next(struct ring *r, const struct tpacket_hdr_v1 *b)
{
	r->next = (const uint8_t *)b - offsetof(struct tpacket_block_desc, hdr) +
		  b->offset_to_first_pkt;
	for (uint32_t i = 0; i < r->taken; i++)
		r->next += head_at(r->next).tp_next_offset;
}

/* The block in which the next packet is, or NULL. */
static struct tpacket_hdr_v1 *next_block(struct ring *r)
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

static bool is_summed(const struct tpacket3_hdr *head, const struct virtio_net_hdr *offload)
{
	return head->tp_status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID) ||
	       offload->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
}

/* Of what the link layer has before the IP header, only its length matters. */
bool ring_peek(struct ring *r, struct ring_packet *ret)
{
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
				    .is_summed = is_summed(&head, &offload)};
	return true;
}

void ring_take(struct ring *r)
{
	r->next += head_at(r->next).tp_next_offset;
	r->taken++;
	note_place(r);
}

void ring_give_back(struct ring *r)
{
	for (; r->given_block < r->block; r->given_block++)
		give(block_at(r, r->given_block));
}

/* ---- marks ---- */

/* The kernel counts the packets of a block while it fills it. */
uint64_t ring_mark(const struct ring *r)
{
	for (uint64_t i = r->block; i < r->block + r->block_count; i++) {
		const struct tpacket_hdr_v1 *b = block_at(r, i);
		bool is_full = is_ours(b);

		if (b->seq_num != i)
			return mark_of(i, 0);
		if (!is_full)
			return mark_of(i, __atomic_load_n(&b->num_pkts, __ATOMIC_ACQUIRE));
	}
	return mark_of(r->block + r->block_count, 0);
}

bool ring_is_past(const struct ring *r, uint64_t mark)
{
	return ring_place(r) >= mark;
}
