"""How streams begin, pause and end: as they would over one plain TCP connection.

                       +-- relay1 --+
    client -- ingress -+-- relay2 --+- egress -- server
                       +-- relay3 --+
"""

import hashlib
import os
import select
import socket
import time

from chain import CLIENT_PORT, Chain, reset_on_close
from lab import expect, expect_equal, wait_for
from peers import (BLOCK, MB, Job, check_session, end_both, expect_end, expect_reset, move,
                   move_both_ways, receive_exactly, receive_hash, send_for_ever, send_random)
from scenario import Scenario


def plain(lab):
    """A chain and its listening server."""
    chain = Chain(lab)
    listener = chain.listen()
    return chain.ready(), listener


def half_close(lab):
    """Upload, end, then the answer; and the other way round."""
    chain, listener = plain(lab)
    for first_up in (True, False):
        client, server = chain.session(listener)
        first, second = (client, server) if first_up else (server, client)
        move(first, second, 4 * MB, 1)
        first.shutdown(socket.SHUT_WR)
        expect_end(second, "the one that did not end")
        move(second, first, 4 * MB, 2)
        second.shutdown(socket.SHUT_WR)
        expect_end(first, "the one that ended first")


def empty_session(lab):
    """No byte at all: the ends still arrive, in either order."""
    chain, listener = plain(lab)
    for client_first in (True, False):
        client, server = chain.session(listener)
        first, second = (client, server) if client_first else (server, client)
        first.shutdown(socket.SHUT_WR)
        expect_end(second, "the second")
        second.close()
        expect_end(first, "the first")


def byte_a_second(lab):
    """Every byte arrives before the next is sent: nothing waits for company."""
    chain, listener = plain(lab)
    client, server = chain.session(listener)
    for i in range(10 if lab.is_long else 4):
        if i:
            time.sleep(1)  # the pause is the subject here
        client.sendall(bytes([i]))
        expect_equal(receive_exactly(server, 1), bytes([i]), f"byte {i} up")
        server.sendall(bytes([100 + i]))
        expect_equal(receive_exactly(client, 1), bytes([100 + i]), f"byte {i} down")
    end_both(client, server)


def small_pieces(lab):
    """Many writes of odd sizes, both ways at once."""
    chain, listener = plain(lab)
    client, server = chain.session(listener)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    down = Job(move, server, client, 4 * MB, 9)
    data = os.urandom(200_000)
    receiving = Job(receive_hash, server, len(data))
    at = 0
    while at < len(data):
        at += client.send(data[at:at + 1 + at % 97])
    expect_equal(receiving.result(), hashlib.sha256(data).hexdigest(), "SHA-256 of the pieces")
    down.result()
    end_both(client, server)


def resets_in_the_middle(lab, by_client):
    """A reset passes as a reset, while bytes flow towards the one that resets."""
    chain, listener = plain(lab)
    client, server = chain.session(listener)
    resetter, other = (client, server) if by_client else (server, client)
    move_both_ways(client, server, 1 * MB, 1)
    sending = Job(send_for_ever, other)
    receive_hash(resetter, 1 * MB)
    reset_on_close(resetter)
    resetter.close()
    expect_reset(other, "server" if by_client else "client", sending)
    check_session(chain, listener)
    wait_for(lambda: chain.ingress.stats()["sessions"]["open"] == 0, "no session left")


def reset_idle(lab, by_client):
    """The same with nothing under way."""
    chain, listener = plain(lab)
    client, server = chain.session(listener)
    resetter, other = (client, server) if by_client else (server, client)
    move_both_ways(client, server, 1000, 1)
    reset_on_close(resetter)
    resetter.close()
    expect_reset(other, "server" if by_client else "client")
    check_session(chain, listener)


def resets_while_stopped(lab, by_client):
    """The same while the other one takes nothing, so that nobody reads from who resets."""
    chain, listener = plain(lab)
    client, server = chain.session(listener)
    resetter, other = (client, server) if by_client else (server, client)
    while select.select([], [resetter], [], 1)[1]:
        resetter.send(BLOCK * b"x", socket.MSG_DONTWAIT)
    reset_on_close(resetter)
    resetter.close()
    wait_for(lambda: chain.ingress.stats()["sessions"]["open"] == 0, "no session left")
    expect_reset(other, "server" if by_client else "client")
    check_session(chain, listener)


def server_closes_first(lab):
    """The client gets all of it, then the end; it may go on sending until it ends too."""
    chain, listener = plain(lab)
    client, server = chain.session(listener)
    move(server, client, 4 * MB, 1)
    server.shutdown(socket.SHUT_WR)
    expect_end(client, "client")
    move(client, server, 1 * MB, 2)
    client.close()
    expect_end(server, "server")


def server_speaks_first(lab):
    """The banner comes although the client has sent nothing."""
    chain, listener = plain(lab)
    client, server = chain.session(listener)
    server.sendall(b"220 hello\r\n")
    expect_equal(receive_exactly(client, 11), b"220 hello\r\n", "the banner")
    move_both_ways(client, server, 1 * MB, 1)
    end_both(client, server)


def early_answer(lab, direct, answer_bytes):
    """The server answers and closes while the client still sends: the answer arrives, then an
    end or a reset. `direct` is plain TCP, to show that it holds there too."""
    chain, listener = plain(lab)
    if direct:
        entry = chain.server.listen(chain.target[0], CLIENT_PORT)
        client = chain.server.connect(chain.target[0], CLIENT_PORT)
        server = entry.accept()[0]
    else:
        client, server = chain.session(listener)
    sending = Job(send_for_ever, client)
    receive_hash(server, BLOCK)
    wanted = send_random(server, answer_bytes, 3)
    server.close()  # with unread bytes in its buffer, so this is a reset in plain TCP
    expect_equal(receive_hash(client, answer_bytes), wanted, "SHA-256 of the answer")
    try:
        expect(not client.recv(1), "bytes after the answer")
    except ConnectionError:
        pass
    client.close()
    sending.join(20)
    expect(isinstance(sending.error, OSError), f"the client's sending ended by {sending.error}")
    check_session(chain, listener)


SCENARIOS = [
    Scenario("half_close", half_close),
    Scenario("empty_session", empty_session),
    Scenario("byte_a_second", byte_a_second),
    Scenario("small_pieces", small_pieces),
    Scenario("client_resets", resets_in_the_middle, (True,)),
    Scenario("server_resets", resets_in_the_middle, (False,)),
    Scenario("client_resets_idle", reset_idle, (True,)),
    Scenario("server_resets_idle", reset_idle, (False,)),
    Scenario("client_resets_while_stopped", resets_while_stopped, (True,)),
    Scenario("server_resets_while_stopped", resets_while_stopped, (False,)),
    Scenario("server_closes_first", server_closes_first),
    Scenario("server_speaks_first", server_speaks_first),
    Scenario("early_answer", early_answer, (False, 1000)),
    Scenario("early_answer_plain_tcp", early_answer, (True, 1000)),
]
