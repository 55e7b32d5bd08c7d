"""CPU time of a guest's processors, of its card, and of the servers outside, at moments that the guest names.

An emulated processor that waits for a real one looks busy from the inside. So the guest connects to us at a run's
beginning and end, says which, and goes on when we have looked.
"""
import glob
import os
import socketserver
import threading

from measure import TICK
from programs import Failure


def qemu_pid(share):
    """The virtual machine that has this results share."""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words[0].startswith(b"qemu-system") and any(share.encode() in word for word in words):
            return int(path.split("/")[2])
    raise Failure(f"there is no virtual machine with the share {share}")


def threads_of(pid):
    """{(name, seconds)} of a process's threads."""
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
        except OSError:
            continue  # it has ended
        fields = rest.split()
        yield name, (int(fields[11]) + int(fields[12])) / TICK


class Watch:
    """Listens until it is closed; what it saw is in `seen`, by what the guest said."""

    def __init__(self, address, share, servers):
        self.share = os.path.realpath(share)
        self.servers = servers
        self.seen = {}
        self.server = socketserver.TCPServer((address, 0), self.handler())
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def handler(self):
        watch = self

        class Handler(socketserver.StreamRequestHandler):
            """One look."""

            def handle(self):
                watch.seen[self.rfile.readline().decode().strip()] = watch.look()
                self.wfile.write(b"seen\n")

        return Handler

    def look(self):
        sums = {"guest": 0.0, "card": 0.0, "replicas": 0.0}
        for name, seconds in threads_of(qemu_pid(self.share)):
            sums["guest" if name.startswith("CPU ") else "card"] += seconds
        for pid in self.servers:
            sums["replicas"] += sum(seconds for _, seconds in threads_of(pid))
        return sums

    def used(self, run):
        """CPU seconds between a run's two looks."""
        if any(f"{run} {when}" not in self.seen for when in ("before", "after")):
            raise Failure(f"the guest did not tell of the beginning and the end of run {run}")
        before, after = self.seen[f"{run} before"], self.seen[f"{run} after"]
        return {name: round(after[name] - before[name], 2) for name in before}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
