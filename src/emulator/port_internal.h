/* What port.c and the two kinds of ports give each other; the contracts are those of port.h. */
#ifndef EMULATOR_PORT_INTERNAL_H
#define EMULATOR_PORT_INTERNAL_H

#include "emulator/port.h"

/* ---- port.c ---- */
/* An ioctl on the port's interface through a socket of its namespace. */
int port_ioctl(const struct port *p, int fd, unsigned long request, struct ifreq *io);
/* IFF_UP on or off. */
int port_flags(const struct port *p, int fd, bool is_up);

/* ---- port_packet.c ---- */
int packet_open(struct port *p); /* sets fd; what is half open closes with the port */
int packet_receive(struct port *p, struct inbox *in, size_t frame_max, uint64_t now_ns);
size_t packet_send(struct port *p, struct packet *const *packets, size_t count);
void packet_count_missed(struct port *p);

/* ---- port_tun.c ---- */
int tun_open(struct port *p);
int tun_receive(struct port *p, struct inbox *in, size_t frame_max, uint64_t now_ns);
size_t tun_send(struct port *p, struct packet *const *packets, size_t count);
int tun_set_carrier(struct port *p, bool is_up);

#endif
