"""Where the echo suite is measured: a namespace with only a loopback, a server on one port, clients
that check every byte."""

import contextlib
import json
import os
import signal
import subprocess

from common import LOOPBACK, WrongBytes, loopback_node
from lab import Failure, expect

PORT = 7007
MODELS = ("event", "uring", "thread", "fork")
CLIENT_LIMIT_S = 600
END_LIMIT_S = 120  # of tens of thousands of processes


class Place:
    def __init__(self, bench, lab):
        self.bench, self.lab, self.node = bench, lab, loopback_node(lab)

    def serve(self, model, *options):
        server = self.node.start(f"echo-{model}", [
            self.bench.bin_dir / "echo_server", "--model", model, "--json", "--port", PORT,
            *options], stdout=subprocess.PIPE)
        expect(b"ready" in server.popen.stdout.readline(), f"echo_server: {server.log().strip()}")
        return server

    def start(self, name, argv, port=PORT):
        """A peer, which does not say when it listens."""
        server = self.node.start(f"echo-{name}", argv)
        self.node.wait_open_port(port)
        return server

    def drive(self, *options, model="event"):
        """What the client says in the end. What it could not connect is in it, too."""
        client = self.node.start("echo_client", [
            self.bench.bin_dir / "echo_client", "--model", model, "--json", "--port", PORT,
            *options], stdout=subprocess.PIPE)
        try:
            said, _ = client.popen.communicate(timeout=CLIENT_LIMIT_S)
        except subprocess.TimeoutExpired as error:
            client.kill()
            raise Failure(f"echo_client: no end within {CLIENT_LIMIT_S} s") from error
        expect(said, f"echo_client ended with {client.popen.returncode}: {client.log().strip()}")
        found = json.loads(said)
        if found["wrong"]:
            raise WrongBytes(f"{found['wrong']} connections brought other bytes than were sent")
        return found


def end(server):
    """Returns its last counters, when it has any."""
    server.signal(signal.SIGTERM)
    try:
        said, _ = server.popen.communicate(timeout=END_LIMIT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        said = None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.popen.pid, signal.SIGKILL)  # ncat's children hold its port
    lines = (said or b"").splitlines()
    return json.loads(lines[-1]) if lines else {}
