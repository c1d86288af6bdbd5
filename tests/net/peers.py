"""Clients and servers of the scenarios: streams of random bytes that are hashed at both ends,
checks for how a connection ends, and an nginx of our own."""

import hashlib
import os
import random
import socket
import threading

from lab import Failure, expect, expect_equal

BLOCK = 64 * 1024
MB = 1_000_000

NGINX = """
user root;
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
worker_rlimit_nofile 4096;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 100000;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/unused;
    fastcgi_temp_path {folder}/unused;
    uwsgi_temp_path {folder}/unused;
    scgi_temp_path {folder}/unused;
    server {{
        listen {address} backlog=1024;
        root {folder}/www;
        location / {{ dav_methods PUT; }}
    }}
}}
"""


def start_nginx(lab, node, host, port):
    """Serves and takes (PUT) files in the returned folder."""
    www = lab.folder / "www"
    www.mkdir()
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    config = lab.folder / "nginx.conf"
    config.write_text(NGINX.format(folder=lab.folder, address=address))
    node.start("nginx", ["nginx", "-p", lab.folder, "-c", config,
                         "-e", lab.folder / "nginx-error.log"])
    node.wait_open(host, port)
    return www


def make_file(path, size):
    """Random content; returns its SHA-256."""
    digest = hashlib.sha256()
    with open(path, "wb") as out:
        for at in range(0, size, MB):
            block = os.urandom(min(MB, size - at))
            out.write(block)
            digest.update(block)
    return digest.hexdigest()


def file_hash(path):
    digest = hashlib.sha256()
    with open(path, "rb") as data:
        while block := data.read(MB):
            digest.update(block)
    return digest.hexdigest()


def random_blocks(size, seed):
    source = random.Random(seed)
    for at in range(0, size, BLOCK):
        yield source.randbytes(min(BLOCK, size - at))


def send_random(sock, size, seed):
    """Returns the SHA-256 of what was sent."""
    digest = hashlib.sha256()
    for block in random_blocks(size, seed):
        sock.sendall(block)
        digest.update(block)
    return digest.hexdigest()


def receive_exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        expect(more, f"the stream ended after {len(data)} of {size} bytes")
        data += more
    return data


def receive_hash(sock, size):
    """SHA-256 of the next `size` bytes."""
    digest, got = hashlib.sha256(), 0
    while got < size:
        block = sock.recv(min(BLOCK, size - got))
        expect(block, f"the stream ended after {got} of {size} bytes")
        digest.update(block)
        got += len(block)
    return digest.hexdigest()


def expect_end(sock, who):
    """A clean end, at once."""
    try:
        rest = sock.recv(BLOCK)
    except OSError as error:
        raise Failure(f"{who}: {error} instead of a clean end") from error
    expect(not rest, f"{who}: {len(rest)} bytes more than were sent")


class Job(threading.Thread):
    """Work beside the scenario; `result()` waits for it and raises what it raised."""

    def __init__(self, work, *arguments):
        super().__init__(daemon=True)
        self.work, self.arguments = work, arguments
        self.value = self.error = None
        self.start()

    def run(self):
        try:
            self.value = self.work(*self.arguments)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def result(self, limit_s=120):
        self.join(limit_s)
        expect(not self.is_alive(), f"{self.work.__name__}: not within {limit_s} s")
        if self.error:
            raise self.error
        return self.value


def move(source, sink, size, seed):
    """`size` bytes from one socket to the other, compared by SHA-256."""
    sending = Job(send_random, source, size, seed)
    got = receive_hash(sink, size)
    expect_equal(got, sending.result(), f"SHA-256 of {size} bytes (seed {seed})")


def move_both_ways(client, server, size, seed):
    up = Job(move, client, server, size, seed)
    move(server, client, size, seed + 1)
    up.result()


def end_both(client, server):
    """Half-close in both directions, both ends clean."""
    client.shutdown(socket.SHUT_WR)
    expect_end(server, "server")
    server.shutdown(socket.SHUT_WR)
    expect_end(client, "client")
    client.close()
    server.close()


def check_session(chain, listener, size=100_000, seed=1):
    """One whole session: bytes both ways, then a clean end both ways."""
    client, server = chain.session(listener)
    move_both_ways(client, server, size, seed)
    end_both(client, server)


def send_for_ever(sock):
    block = bytes(BLOCK)
    while True:
        sock.sendall(block)


def expect_reset(sock, who, sending=None):
    """The connection must end with ECONNRESET, told to its reader or to the `sending` Job."""
    try:
        while sock.recv(BLOCK):
            pass
    except ConnectionResetError:
        return
    except TimeoutError as error:
        raise Failure(f"{who}: no end at all where a reset was due") from error
    if sending:
        sending.join(10)
        if isinstance(sending.error, ConnectionResetError):
            return
    raise Failure(f"{who}: a clean end where a reset was due")


def expect_refused(dial, who):
    """What `dial` connects must end with ECONNRESET, which may come before it returns."""
    try:
        sock = dial()
    except ConnectionResetError:
        return
    expect_reset(sock, who)
