"""Sends UDP datagrams to the discard port of HOST at MBIT Mbit/s of Ethernet frames until it is ended.
It runs as a program of its own, at a PoP: arguments HOST MBIT. When it begins it says "sending"."""

import socket
import sys
import time

PAYLOAD = bytes(1200)
FRAME_BITS = 8 * (len(PAYLOAD) + 42)  # with UDP, IPv4 and Ethernet
DISCARD_PORT = 9  # RFC 863
TURN_S = 0.002


def main() -> None:
    host, mbit = sys.argv[1], float(sys.argv[2])
    family, _, _, _, address = socket.getaddrinfo(host, DISCARD_PORT, type=socket.SOCK_DGRAM)[0]
    sender = socket.socket(family, socket.SOCK_DGRAM)
    print("sending", flush=True)
    started, sent = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - started) * mbit * 1e6 / FRAME_BITS)
        for _ in range(due - sent):
            try:
                sender.sendto(PAYLOAD, address)
            except OSError:
                pass  # the link is down, or its queue full: what was due is lost
        sent = due
        time.sleep(TURN_S)


main()
