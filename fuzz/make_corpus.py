#!/usr/bin/python3
"""Writes the seed inputs of the frame, deframer, cutter, rule, payload and datagram fuzz targets into
fuzz/corpus/.

Run it after a change of the wire format, the stamp or the rules' JSON; its output is committed.
Good inputs nearly all: the fuzzers find the bad ones from there."""

import json
import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"
FIN = ANSWER = 1


def frame(kind, payload=b"", session=0, offset=0, flags=0):
    return struct.pack(">BBHIQQ", kind, flags, 0, len(payload), session, offset) + payload


def name(text, port):
    return bytes([3, len(text)]) + text.encode() + struct.pack(">H", port)


NONE = b"\0"
IPV4 = bytes([1, 127, 0, 0, 1]) + struct.pack(">H", 8080)
IPV6 = b"\2" + bytes(15) + b"\1" + struct.pack(">H", 443)
NONCE = bytes(range(16))

FRAMES = {
    "hello": frame(
        0x81, b"MPP1" + bytes([1, 1, 16]) + NONCE + struct.pack(">II", 1, 65536) + NONCE),
    "hello_ack": frame(0x82, struct.pack(">BQIII", 1, 7, 65536, 16384, 8192) + NONCE + bytes(32)),
    "auth": frame(0x83, bytes(range(32))),
    "open_default": frame(0x84, NONE + IPV4, 1),
    "open_name": frame(0x84, name("server-1.example", 80) + IPV6, 2),
    "data": frame(0x85, b"some bytes of a stream", 1, 1000),
    "data_fin": frame(0x85, b"the last", 1, 1022, FIN),
    "data_probe": frame(0x85, b"", 1, 1022),
    "ack": frame(0x86, struct.pack(">QI", 65536, 250), 1, 1000),
    "ack_ranges": frame(0x86, struct.pack(">QIQQQQ", 1 << 40, 9, 1001, 1010, 1020, 1030), 1, 1000),
    "reset": frame(0x87, struct.pack(">I", 2) + b"connect: refused", 1, 1000),
    "reset_answer": frame(0x87, struct.pack(">I", 0), 1, 0, ANSWER),
    "ping": frame(0x88, struct.pack(">Q", 123456789)),
    "pong": frame(0x89, struct.pack(">Q", 123456789)),
    "path_lost": frame(0x8A, struct.pack(">Q", 0xFEDCBA9876543210)),
    "drain": frame(0x8D),
    "tunnel_close": frame(0x8F),
    "probe": frame(0x91, struct.pack(">Q", 0x0123456789ABCDEF)),
    "probed": frame(0x92, struct.pack(">Q", 0x0123456789ABCDEF)),
}

STREAMS = {
    "dial": FRAMES["hello"] + FRAMES["ping"] + FRAMES["open_name"] + FRAMES["probe"]
            + FRAMES["data"],
    "end": FRAMES["data_probe"] + FRAMES["data_fin"] + FRAMES["ack_ranges"] + FRAMES["drain"],
    "cut": FRAMES["reset"] + FRAMES["ack"] + FRAMES["data"][:-5],
    "broken": FRAMES["pong"] + b"\x16\x03\x01" + bytes(40),
}


def large(gso_type, ethertype, ip, l4):
    """What PACKET_VNET_HDR puts before a large frame, and the frame."""
    csum_offset = 6 if gso_type == 5 else 16
    offload = struct.pack("=BBHHHH", 1, gso_type, 0, 100, 14 + len(ip), csum_offset)
    return offload + bytes(12) + struct.pack(">H", ethertype) + ip + l4 + bytes(range(250))


IP4 = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 0, 1, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
IP6 = struct.pack(">IHBB16s16s", 0x60000000, 0, 6, 64, bytes(16), bytes(16))
TCP = struct.pack(">HHIIBBHHH", 1, 2, 3, 4, 0x50, 0x19, 5, 0, 0)
LARGE = {
    "tcp_ipv4": large(1, 0x0800, IP4, TCP),
    "tcp_ipv6": large(4, 0x86DD, IP6, TCP),
    "udp_ipv4": large(5, 0x0800, IP4, struct.pack(">HHHH", 1, 2, 0, 0)),
    "tcp_ipv4_ecn": large(0x81, 0x0800, IP4, TCP),
    "no_tcp": large(1, 0x0806, IP4, TCP),
}

GROUP = {"interface": "br0", "group": "239.1.1.1", "port": 5001}
GROUP6 = {"interface": "br2", "group": "ff3e::1", "port": 5001, "source": "2001:db8::1"}
OUTPUT = {"address": "239.10.1.1", "port": 6001, "interface": "br1"}
UNICAST = {"address": "10.0.0.1", "port": 6001, "ttl": 16, "source": "10.0.0.2"}
RULES = {
    "named": {"name": "tv1", "inputs": [GROUP], "match": "none", "outputs": [OUTPUT]},
    "unnamed": {"inputs": [{**GROUP, "source": "10.0.0.9"}], "outputs": [OUTPUT, UNICAST]},
    "rtp": {"name": "two", "inputs": [GROUP, GROUP6], "match": "rtp", "outputs": [UNICAST]},
    "content": {"inputs": [GROUP6, GROUP], "match": "content", "outputs": [OUTPUT]},
    "loop": {"inputs": [{**GROUP, "group": OUTPUT["address"], "port": OUTPUT["port"],
                         "interface": OUTPUT["interface"]}], "outputs": [OUTPUT]},
}


def stamped(*sequences, rtp=b"", run=1):
    """Packets of a stamp alone; the first byte says how long each is, and whether RTP is there."""
    packets = [rtp + struct.pack(">QIIQQ", 0x4D63617374537431, run, 0, sequence, 0)
               for sequence in sequences]
    return bytes([len(packets[0]) << 1 | bool(rtp)]) + b"".join(packets)


PACKETS = {
    "in_order": stamped(0, 1, 2, 3),
    "copies": stamped(5, 5, 4, 4, 9),
    "far": stamped(0, 1 << 20, 0, (1 << 20) - 65535, 1 << 62),
    "rtp": stamped(7, rtp=struct.pack(">BBHII", 0x80, 96, 7, 0, 1)),
    "other_run": stamped(0, 1) + stamped(2, run=2)[1:],
}


def total(data):
    """The sum of RFC 1071."""
    data += bytes(len(data) % 2)
    number = sum(struct.unpack(f">{len(data) // 2}H", data))
    return (number & 0xFFFF) + (number >> 16)


def udp(addresses, payload):
    head = struct.pack(">HHH", 4660, 5001, 8 + len(payload))
    rest = addresses + struct.pack(">HH", 17, 8 + len(payload)) + head + bytes(2) + payload
    number = total(rest)
    number = ~((number & 0xFFFF) + (number >> 16)) & 0xFFFF
    return head + struct.pack(">H", number) + payload


def packet4(payload, options=b"", fragment=0, protocol=17):
    addresses = bytes([10, 0, 0, 1, 239, 1, 1, 1])
    body = udp(addresses, payload)
    header = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0,
                         20 + len(options) + len(body), 1, fragment, 16, protocol,
                         0) + addresses + options
    number = total(header)
    number = ~((number & 0xFFFF) + (number >> 16)) & 0xFFFF
    return header[:10] + struct.pack(">H", number) + header[12:] + body


def packet6(payload, following=17):
    addresses = b"\xfe\x80" + bytes(13) + b"\1\xff\x15" + bytes(13) + b"\1"
    body = udp(addresses, payload)
    return struct.pack(">IHBB", 0x60000000, len(body), following, 16) + addresses + body


DATAGRAMS = {
    "v4": packet4(b"abc"),
    "v4_padded": packet4(b"abc") + bytes(15),
    "v4_options": packet4(b"abcd", options=b"\x94\4\0\0"),
    "v4_fragment": packet4(b"abcd", fragment=0x2000),
    "v4_tcp": packet4(bytes(32), protocol=6),
    "v4_empty": packet4(b""),
    "v6": packet6(b"abc"),
    "v6_extended": packet6(bytes(32), following=0),
}


def write(target, inputs):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for title, data in inputs.items():
        (folder / title).write_bytes(data)


write("frame", FRAMES)
# The first byte seeds how the stream is cut.
write("deframer", {title: b"\7" + stream for title, stream in STREAMS.items()})
write("cutter", LARGE)
write("rule", {title: json.dumps(rule).encode() for title, rule in RULES.items()})
write("payload", PACKETS)
write("datagram", DATAGRAMS)
