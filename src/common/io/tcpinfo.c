/* Linux's TCP: see tcpinfo.h. */
#include "common/io/tcpinfo.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif

/* TCP_CLOSE of the C library's header. */
#define STATE_CLOSE 7

int tcpinfo_look(int fd, struct stall_look *ret)
{
	struct tcp_info info = {.tcpi_snd_wnd = UINT32_MAX};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	/* By a reset; nothing is outstanding then, and nothing has arrived. */
	if (info.tcpi_state == STATE_CLOSE)
		return -ENOTCONN;
	*ret = (struct stall_look){
		.unacked_segments = info.tcpi_unacked,
		.unsent_bytes = info.tcpi_notsent_bytes,
		/* TCP waits for room for a segment, when nothing is under way (RFC
		   9293, 3.8.6.2.1). */
		.is_window_closed =
			info.tcpi_snd_wnd == 0 ||
			(info.tcpi_unacked == 0 && info.tcpi_snd_wnd < info.tcpi_snd_mss),
		.delivered = info.tcpi_delivered,
		.sent_ms = info.tcpi_last_data_sent,
		.heard_ms = info.tcpi_last_ack_recv,
		.rtt_us = info.tcpi_rtt,
		.base_rtt_us = info.tcpi_min_rtt,
	};
	return 0;
}

size_t tcpinfo_undelivered_bytes(int fd, int err)
{
	int bytes;

	if (ioctl(fd, err == -ECONNRESET ? SIOCOUTQ : SIOCOUTQNSD, &bytes) < 0)
		return 0;
	return (size_t)bytes;
}

void tcpinfo_set_rto_max(int fd, int rto_max_ms)
{
	setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &rto_max_ms, sizeof(rto_max_ms));
}
