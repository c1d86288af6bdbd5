/* One request of rtnetlink and its answer, on a socket of its own: they are rare. */
#include "echo/client/rtaddr.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Four refreshments may be missed: measuring the memory of 20,000 processes takes seconds. */
#define VALID_S (5u * RTADDR_REFRESH_S)
/* The kernel answers at once; this is for a kernel that does not. */
#define ANSWER_WAIT_S 5
#define ATTRIBUTES_MAX 128u /* two IPv6 addresses, lifetimes and flags take 72 */

struct request {
	struct nlmsghdr header;
	struct ifaddrmsg address;
	uint8_t attributes[ATTRIBUTES_MAX];
};

static void append(struct request *r, unsigned short type, const void *data, size_t len)
{
	uint8_t *at = (uint8_t *)r + NLMSG_ALIGN(r->header.nlmsg_len);
	struct rtattr head = {.rta_len = (unsigned short)RTA_LENGTH(len), .rta_type = type};

	memcpy(at, &head, sizeof(head));
	memcpy(at + RTA_LENGTH(0), data, len);
	r->header.nlmsg_len =
		(uint32_t)(NLMSG_ALIGN(r->header.nlmsg_len) + RTA_ALIGN(RTA_LENGTH(len)));
}

/* A prefix of one address: only it is added, no route to its neighbours. */
static void compose(struct request *r, unsigned short type, unsigned flags, unsigned interface,
		    const union address *a)
{
	bool is_v4 = a->any.sa_family == AF_INET;
	const void *bytes = is_v4 ? (const void *)&a->v4.sin_addr : &a->v6.sin6_addr;
	size_t len = is_v4 ? sizeof(a->v4.sin_addr) : sizeof(a->v6.sin6_addr);

	*r = (struct request){
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(r->address)),
			   .nlmsg_type = type,
			   .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags),
			   .nlmsg_seq = 1},
		.address = {.ifa_family = (unsigned char)a->any.sa_family,
			    .ifa_prefixlen = (unsigned char)(len * 8),
			    .ifa_scope = RT_SCOPE_UNIVERSE,
			    .ifa_index = interface},
	};
	append(r, IFA_LOCAL, bytes, len);
	append(r, IFA_ADDRESS, bytes, len);
}

/* Reads the answer to the one request. */
static int answer(int fd)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		uint8_t rest[1024]; /* the request again */
	} reply;
	ssize_t n = recv(fd, &reply, sizeof(reply), 0);

	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if ((size_t)n < sizeof(reply.header) + sizeof(reply.error.error) ||
	    reply.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return reply.error.error;
}

static int ask(const struct request *r)
{
	const struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int err = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (send(fd, r, r->header.nlmsg_len, 0) < 0)
		err = -errno;
	else
		err = answer(fd);
	close(fd);
	return err;
}

static int set_address(unsigned interface, const union address *a, unsigned flags)
{
	/* Not preferred: other programs shall not be given it. Not announced first: nobody else
	 * has it, and waiting for that takes a second. */
	const struct ifa_cacheinfo lifetime = {.ifa_prefered = 0, .ifa_valid = VALID_S};
	const uint32_t address_flags = IFA_F_NODAD | IFA_F_NOPREFIXROUTE;
	struct request r;

	compose(&r, RTM_NEWADDR, flags, interface, a);
	append(&r, IFA_CACHEINFO, &lifetime, sizeof(lifetime));
	append(&r, IFA_FLAGS, &address_flags, sizeof(address_flags));
	return ask(&r);
}

int rtaddr_add(unsigned interface, const union address *a)
{
	return set_address(interface, a, NLM_F_CREATE | NLM_F_EXCL);
}

int rtaddr_refresh(unsigned interface, const union address *a)
{
	return set_address(interface, a, NLM_F_CREATE | NLM_F_REPLACE);
}

int rtaddr_remove(unsigned interface, const union address *a)
{
	struct request r;

	compose(&r, RTM_DELADDR, 0, interface, a);
	return ask(&r);
}
