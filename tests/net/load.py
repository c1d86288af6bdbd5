#!/usr/bin/python3
"""A load of many sessions at once: `load.py serve HOST PORT` echoes, `load.py drive HOST PORT
COUNT BYTES` opens COUNT connections, and when every one of them has echoed its first byte, moves
BYTES both ways on each and compares SHA-256. Exit code 0 only when all sessions were exact."""

import asyncio
import hashlib
import random
import resource
import sys

BLOCK = 64 * 1024


async def echo(reader, writer):
    try:
        while data := await reader.read(BLOCK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except ConnectionError:
        pass  # the driver tells
    finally:
        writer.close()


async def serve(host, port):
    server = await asyncio.start_server(echo, host, port, backlog=4096)
    await server.serve_forever()


async def begin(host, port):
    """A connection that has proved to be a session end to end."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"?")
    if await reader.readexactly(1) != b"?":
        raise ValueError("the first byte came back changed")
    return reader, writer


async def send(writer, size, seed):
    source, digest = random.Random(seed), hashlib.sha256()
    for at in range(0, size, BLOCK):
        block = source.randbytes(min(BLOCK, size - at))
        digest.update(block)
        writer.write(block)
        await writer.drain()
    writer.write_eof()
    return digest.digest()


async def receive(reader):
    digest = hashlib.sha256()
    while data := await reader.read(BLOCK):
        digest.update(data)
    return digest.digest()


async def exchange(ends, size, seed):
    reader, writer = ends
    sent, got = await asyncio.gather(send(writer, size, seed), receive(reader))
    writer.close()
    if sent != got:
        raise ValueError(f"session {seed}: the echo differs")


async def drive(host, port, count, size):
    ends = await asyncio.gather(*(begin(host, port) for _ in range(count)))
    print(f"{count} open", flush=True)
    done = await asyncio.gather(*(exchange(e, size, seed) for seed, e in enumerate(ends)),
                                return_exceptions=True)
    failed = [repr(d) for d in done if d is not None]
    print(f"{count - len(failed)} exact, {len(failed)} failed", *failed[:5], flush=True)
    return 1 if failed else 0


def main(words):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if words[0] == "serve":
        return asyncio.run(serve(words[1], int(words[2])))
    return asyncio.run(drive(words[1], int(words[2]), int(words[3]), int(words[4])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
