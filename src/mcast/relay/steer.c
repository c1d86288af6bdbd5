/* Maps and a program in the kernel's own code, by bpf(2): see steer.h. The program is short and
 * never changes, so it is written down here and needs no compiler for it. */
#include "mcast/relay/steer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/membarrier.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Source and group lie as they do in a header of IPv6. */
struct key {
	uint32_t interface;
	uint16_t port;	 /* network order */
	uint16_t family; /* ETH_P_IP or ETH_P_IPV6, network order */
	uint8_t source[16], group[16];
};

/* Places in steer.fds. */
enum { INPUTS, MEMBERS, SOCKETS };

static int bpf(enum bpf_cmd command, union bpf_attr *attributes)
{
	int result = (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));

	return result < 0 ? -errno : result;
}

/* ---- the maps ---- */

void steer_init(struct steer *s)
{
	*s = (struct steer){.fds = {-1, -1, -1}};
}

static int map_new(enum bpf_map_type type, size_t key_bytes, unsigned count)
{
	union bpf_attr a = {.map_type = type,
			    .key_size = (uint32_t)key_bytes,
			    .value_size = sizeof(uint32_t),
			    .max_entries = count};

	memcpy(a.map_name, "multicast_relay", sizeof(a.map_name));
	return bpf(BPF_MAP_CREATE, &a);
}

int steer_open(struct steer *s, enum steer_kind kind, unsigned inputs, unsigned members)
{
	s->kind = kind;
	s->fds[INPUTS] = map_new(BPF_MAP_TYPE_HASH, sizeof(struct key), inputs);
	s->fds[MEMBERS] = map_new(BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), inputs);
	if (kind == STEER_XDP)
		s->fds[SOCKETS] =
			map_new(BPF_MAP_TYPE_XSKMAP, sizeof(uint32_t), members * STEER_QUEUES_MAX);
	for (size_t i = 0; i < steer_fd_count(kind); i++)
		if (s->fds[i] < 0)
			return s->fds[i];
	return 0;
}

void steer_done(struct steer *s)
{
	for (size_t i = 0; i < STEER_FDS_MAX; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	steer_init(s);
}

static struct key key_of(const struct rule_input *in, unsigned interface)
{
	bool is_v6 = in->group.family == IP_V6;
	struct key k = {.interface = interface,
			.port = htons(in->port),
			.family = htons(is_v6 ? ETH_P_IPV6 : ETH_P_IP)};

	memcpy(k.group, in->group.bytes, sizeof(k.group));
	if (in->source.family != IP_NONE)
		memcpy(k.source, in->source.bytes, sizeof(k.source));
	return k;
}

static int ask(enum bpf_cmd command, int map_fd, const void *key, const void *value)
{
	union bpf_attr a = {.map_fd = (uint32_t)map_fd,
			    .key = (uintptr_t)key,
			    .value = (uintptr_t)value};

	return bpf(command, &a);
}

static bool is_there(const struct steer *s, const struct key *k, uint32_t number)
{
	uint32_t found = 0;

	return ask(BPF_MAP_LOOKUP_ELEM, s->fds[INPUTS], k, &found) == 0 && found == number;
}

int steer_set(const struct steer *s, const struct rule_input *in, unsigned interface,
	      uint32_t number, uint32_t member)
{
	struct key k = key_of(in, interface);
	int err = ask(BPF_MAP_UPDATE_ELEM, s->fds[MEMBERS], &number, &member);

	if (err || is_there(s, &k, number))
		return err;
	return ask(BPF_MAP_UPDATE_ELEM, s->fds[INPUTS], &k, &number);
}

void steer_remove(const struct steer *s, const struct rule_input *in, unsigned interface,
		  uint32_t number)
{
	struct key k = key_of(in, interface);

	if (is_there(s, &k, number))
		ask(BPF_MAP_DELETE_ELEM, s->fds[INPUTS], &k, NULL);
}

int steer_get(const struct steer *s, const struct rule_input *in, unsigned interface,
	      uint32_t number, uint32_t *ret_member)
{
	struct key k = key_of(in, interface);

	if (!is_there(s, &k, number))
		return -ENOENT;
	return ask(BPF_MAP_LOOKUP_ELEM, s->fds[MEMBERS], &number, ret_member);
}

int steer_enter(const struct steer *s, uint32_t member, uint32_t queue, int socket_fd)
{
	uint32_t at = member * STEER_QUEUES_MAX + queue;

	return ask(BPF_MAP_UPDATE_ELEM, s->fds[SOCKETS], &at, &socket_fd);
}

/* Packets pass the program, and enter a socket, within one read section of the kernel's RCU; this
 * call waits until all that have begun are over. */
void steer_settle(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		usleep(100000); /* nohz_full processors: no packet takes so long */
}

/* ---- the program ---- */

/* Below the frame pointer: the key, and the front of the packet's header. */
#define AT_KEY (-(int)sizeof(struct key))
#define AT(field) (AT_KEY + (int)offsetof(struct key, field))
#define AT_HEADER (AT_KEY - 24)

/* One instruction. A jump that is not taken yet, SKIP, is filled in by `land`. */
static struct bpf_insn op(int code, unsigned to, unsigned from, int offset, uint32_t value)
{
	return (struct bpf_insn){.code = (uint8_t)code,
				 .dst_reg = to & 15u,
				 .src_reg = from & 15u,
				 .off = (int16_t)offset,
				 .imm = (int32_t)value};
}

struct assembly {
	struct bpf_insn code[128];
	size_t count;
	size_t to_nobody[32], to_nobody_count; /* jumps to the end */
	bool is_xdp;
};

static void put(struct assembly *a, struct bpf_insn i)
{
	a->code[a->count++] = i;
}

static void set_value(struct assembly *a, unsigned reg, uint32_t value)
{
	put(a, op(BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, value));
}

static void copy_register(struct assembly *a, unsigned to, unsigned from)
{
	put(a, op(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0));
}

static void load(struct assembly *a, int size, unsigned to, unsigned from, int offset)
{
	put(a, op(BPF_LDX | BPF_MEM | size, to, from, offset, 0));
}

static void store_zero(struct assembly *a, int size, int offset)
{
	put(a, op(BPF_ST | BPF_MEM | size, BPF_REG_10, 0, offset, 0));
}

static void store(struct assembly *a, int size, int offset, unsigned from)
{
	put(a, op(BPF_STX | BPF_MEM | size, BPF_REG_10, from, offset, 0));
}

/* The place of a jump whose target comes later. */
static size_t jump(struct assembly *a, int condition, unsigned reg, uint32_t value)
{
	put(a, op(BPF_JMP | condition | BPF_K, reg, 0, 0, value));
	return a->count - 1;
}

static void land(struct assembly *a, size_t at)
{
	a->code[at].off = (int16_t)(a->count - at - 1);
}

static void leave_if(struct assembly *a, int condition, unsigned reg, uint32_t value)
{
	a->to_nobody[a->to_nobody_count++] = jump(a, condition, reg, value);
}

#define FROM_REGISTER INT32_MIN

/* Copies from the IP header on, at `offset` or at register 2 (FROM_REGISTER), to the stack. Ends
 * when the packet is shorter. */
static void read_packet(struct assembly *a, int offset, int to, unsigned len)
{
	copy_register(a, BPF_REG_1, BPF_REG_6);
	if (offset != FROM_REGISTER)
		set_value(a, BPF_REG_2, (uint32_t)offset);
	if (a->is_xdp) /* from the link's header on */
		put(a, op(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, ETH_HLEN));
	copy_register(a, BPF_REG_3, BPF_REG_10);
	put(a, op(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, (uint32_t)to));
	set_value(a, BPF_REG_4, len);
	set_value(a, BPF_REG_5, BPF_HDR_START_NET);
	put(a, op(BPF_JMP | BPF_CALL, 0, 0, 0,
		  a->is_xdp ? BPF_FUNC_xdp_load_bytes : BPF_FUNC_skb_load_bytes_relative));
	leave_if(a, BPF_JNE, BPF_REG_0, 0);
}

/* Not for this host's own address at the link, or of a VLAN, whose interface is another one. */
static void pass_by_link(struct assembly *a)
{
	load(a, BPF_W, BPF_REG_0, BPF_REG_6, offsetof(struct __sk_buff, pkt_type));
	leave_if(a, BPF_JEQ, BPF_REG_0, PACKET_OTHERHOST);
	leave_if(a, BPF_JEQ, BPF_REG_0, PACKET_LOOPBACK);
	load(a, BPF_W, BPF_REG_0, BPF_REG_6, offsetof(struct __sk_buff, vlan_tci));
	put(a, op(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_0, 0, 0, 0xfff));
	leave_if(a, BPF_JNE, BPF_REG_0, 0);
}

static void begin_key(struct assembly *a)
{
	for (int at = AT_KEY; at < 0; at += 8)
		store_zero(a, BPF_DW, at);
	load(a, BPF_W, BPF_REG_0, BPF_REG_6,
	     a->is_xdp ? (int)offsetof(struct xdp_md, ingress_ifindex)
		       : (int)offsetof(struct __sk_buff, ifindex));
	store(a, BPF_W, AT(interface), BPF_REG_0);
	if (a->is_xdp) /* of the link's header: pass_by_link_xdp */
		load(a, BPF_H, BPF_REG_7, BPF_REG_10, AT_HEADER + 12);
	else
		load(a, BPF_W, BPF_REG_7, BPF_REG_6, offsetof(struct __sk_buff, protocol));
	store(a, BPF_H, AT(family), BPF_REG_7);
}

static void pass_by_link_xdp(struct assembly *a)
{
	copy_register(a, BPF_REG_1, BPF_REG_6);
	put(a, op(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_xdp_get_buff_len));
	leave_if(a, BPF_JGT, BPF_REG_0, STEER_XDP_BYTES_MAX);
	read_packet(a, -ETH_HLEN, AT_HEADER, ETH_HLEN);
	load(a, BPF_B, BPF_REG_0, BPF_REG_10, AT_HEADER);
	put(a, op(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_0, 0, 0, 1)); /* a group's address */
	leave_if(a, BPF_JEQ, BPF_REG_0, 0);
}

/* Register 2 becomes where the UDP header's second field is. No fragments: for packet sockets the
 * kernel has put them together (PACKET_FANOUT_FLAG_DEFRAG), of XDP they go the kernel's way. */
static void read_v4(struct assembly *a)
{
	read_packet(a, 0, AT_HEADER, 20);
	load(a, BPF_B, BPF_REG_0, BPF_REG_10, AT_HEADER + 9);
	leave_if(a, BPF_JNE, BPF_REG_0, IPPROTO_UDP);
	load(a, BPF_H, BPF_REG_0, BPF_REG_10, AT_HEADER + 6);
	put(a, op(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_0, 0, 0, htons(0x3fff)));
	leave_if(a, BPF_JNE, BPF_REG_0, 0);
	load(a, BPF_W, BPF_REG_0, BPF_REG_10, AT_HEADER + 12);
	store(a, BPF_W, AT(source), BPF_REG_0);
	load(a, BPF_W, BPF_REG_0, BPF_REG_10, AT_HEADER + 16);
	store(a, BPF_W, AT(group), BPF_REG_0);
	load(a, BPF_B, BPF_REG_8, BPF_REG_10, AT_HEADER);
	put(a, op(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_8, 0, 0, 15));
	put(a, op(BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_8, 0, 0, 2));
}

static void read_v6(struct assembly *a)
{
	read_packet(a, 0, AT_HEADER, 8);
	load(a, BPF_B, BPF_REG_0, BPF_REG_10, AT_HEADER + 6);
	leave_if(a, BPF_JNE, BPF_REG_0, IPPROTO_UDP);
	read_packet(a, 8, AT(source), 32);
	set_value(a, BPF_REG_8, 40);
}

static void load_map(struct assembly *a, int map_fd)
{
	put(a, op(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, (uint32_t)map_fd));
	put(a, op(0, 0, 0, 0, 0)); /* its upper half */
}

/* Register 0 becomes where the value of the key at AT_KEY is, or 0. */
static void look_up(struct assembly *a, int map_fd)
{
	load_map(a, map_fd);
	copy_register(a, BPF_REG_2, BPF_REG_10);
	put(a, op(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, (uint32_t)AT_KEY));
	put(a, op(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem));
}

/* A rule for this source, else one for any. */
static void find_input(struct assembly *a, int map_fd)
{
	size_t found;

	look_up(a, map_fd);
	found = jump(a, BPF_JNE, BPF_REG_0, 0);
	store_zero(a, BPF_DW, AT(source));
	store_zero(a, BPF_DW, AT(source) + 8);
	look_up(a, map_fd);
	leave_if(a, BPF_JEQ, BPF_REG_0, 0);
	land(a, found);
}

/* Register 0 has the member. */
static void redirect(struct assembly *a, int sockets_fd)
{
	leave_if(a, BPF_JEQ, BPF_REG_0, STEER_NOBODY);
	copy_register(a, BPF_REG_2, BPF_REG_0);
	put(a, op(BPF_ALU64 | BPF_MUL | BPF_K, BPF_REG_2, 0, 0, STEER_QUEUES_MAX));
	load(a, BPF_W, BPF_REG_3, BPF_REG_6, offsetof(struct xdp_md, rx_queue_index));
	leave_if(a, BPF_JGE, BPF_REG_3, STEER_QUEUES_MAX);
	put(a, op(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_2, BPF_REG_3, 0, 0));
	load_map(a, sockets_fd);
	set_value(a, BPF_REG_3, XDP_PASS); /* where no socket is */
	put(a, op(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map));
}

static void answer(struct assembly *a, const struct steer *s)
{
	load(a, BPF_W, BPF_REG_0, BPF_REG_0, 0);
	store(a, BPF_W, AT_KEY, BPF_REG_0);
	look_up(a, s->fds[MEMBERS]);
	leave_if(a, BPF_JEQ, BPF_REG_0, 0);
	load(a, BPF_W, BPF_REG_0, BPF_REG_0, 0);
	if (a->is_xdp)
		redirect(a, s->fds[SOCKETS]);
	put(a, op(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
	for (size_t i = 0; i < a->to_nobody_count; i++)
		land(a, a->to_nobody[i]);
	set_value(a, BPF_REG_0, a->is_xdp ? XDP_PASS : STEER_NOBODY);
	put(a, op(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

static void assemble(struct assembly *a, const struct steer *s)
{
	size_t is_v6, is_read;

	*a = (struct assembly){.is_xdp = s->kind == STEER_XDP};
	copy_register(a, BPF_REG_6, BPF_REG_1);
	if (a->is_xdp)
		pass_by_link_xdp(a);
	else
		pass_by_link(a);
	begin_key(a);
	is_v6 = jump(a, BPF_JNE, BPF_REG_7, htons(ETH_P_IP));
	read_v4(a);
	is_read = jump(a, BPF_JA, 0, 0);
	land(a, is_v6);
	leave_if(a, BPF_JNE, BPF_REG_7, htons(ETH_P_IPV6));
	read_v6(a);
	land(a, is_read);
	copy_register(a, BPF_REG_2, BPF_REG_8);
	put(a, op(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, 2));
	read_packet(a, FROM_REGISTER, AT(port), 2);
	find_input(a, s->fds[INPUTS]);
	answer(a, s);
}

/* ---- loading it ---- */

int steer_program_new(const struct steer *s)
{
	struct assembly a;
	union bpf_attr attributes = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
				     .insns = (uintptr_t)a.code,
				     .license = (uintptr_t) "GPL"};

	if (s->kind == STEER_XDP) {
		attributes.prog_type = BPF_PROG_TYPE_XDP;
		attributes.expected_attach_type = BPF_XDP;
	}
	assemble(&a, s);
	attributes.insn_cnt = (uint32_t)a.count;
	memcpy(attributes.prog_name, "multicast_relay", sizeof(attributes.prog_name));
	return bpf(BPF_PROG_LOAD, &attributes);
}

/* By the driver, not in the kernel's general code for any interface: there a packet may be several
 * datagrams that a sender has put together (UDP GSO), and the program is not told of it. */
int steer_attach(int program_fd, unsigned interface)
{
	union bpf_attr a = {.link_create = {.prog_fd = (uint32_t)program_fd,
					    .target_ifindex = interface,
					    .attach_type = BPF_XDP,
					    .flags = XDP_FLAGS_DRV_MODE}};

	return bpf(BPF_LINK_CREATE, &a);
}
