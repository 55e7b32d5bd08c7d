"""Lockstep on loopback: real replica-servers with stores in RAM, gateways with the shared-memory frontend, a load."""
import json
import os
import re
import signal
import subprocess

from measure import Cpu, figures
from programs import Failure, free_port, run

BUILD = "build/release"


class Lockstep:
    """Replica-servers, by number, and the volumes over them."""

    def __init__(self, programs, directory, address="127.0.0.1"):
        self.programs = programs
        self.directory = directory
        self.address = address
        self.servers = {}
        self.ports = {}
        for name in ("run", "etc/volumes"):
            os.makedirs(os.path.join(directory, name), exist_ok=True)
        os.environ["LOCKSTEP_RUN_DIR"] = os.path.join(directory, "run")
        os.environ["LOCKSTEP_CONFIG_DIR"] = os.path.join(directory, "etc")

    def server_start(self, name):
        port = self.ports.setdefault(name, free_port())
        data = os.path.join(self.directory, name)
        os.makedirs(data, exist_ok=True)
        self.servers[name] = self.programs.start(
            f"replica-{name}", [f"{BUILD}/lockstep-replica", "--listen", f"{self.address}:{port}", "--data", data])
        self.programs.wait_for_port(self.servers[name], port, self.address)

    def server_kill(self, name):
        self.programs.stop(self.servers.pop(name), signal.SIGKILL)

    def volume(self, name, size_bytes, replicas):
        return Volume(self, name, size_bytes, replicas)


class Volume:
    """A volume, its gateway, and the load generator that is its only client."""

    def __init__(self, lockstep, name, size_bytes, replicas):
        self.lockstep = lockstep
        self.programs = lockstep.programs
        self.name = name
        self.replicas = replicas
        self.shm = os.path.join(lockstep.directory, f"{name}.shm")
        for server in replicas:
            if server not in lockstep.servers:
                lockstep.server_start(server)
        words = []
        for server in replicas:
            words += ["--replica", f"{server}=127.0.0.1:{lockstep.ports[server]}"]
        if len(replicas) == 2:
            words.append("--no-witness")  # none is lost here
        run(f"{BUILD}/lockstep", "volume", "create", name, "--size", size_bytes, *words)
        self.load = self.programs.start(f"load-{name}", [f"{BUILD}/tests/bench/load", "--shm", self.shm],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()
        self.gateway = self.programs.start(
            f"gateway-{name}", [f"{BUILD}/lockstep-gateway", "--volume-file",
                                os.path.join(lockstep.directory, "etc/volumes", f"{name}.yaml"), "--run-dir",
                                os.environ["LOCKSTEP_RUN_DIR"], "--frontend", f"shm:{self.shm}"])
        self.answer()
        self.fill()

    def answer(self):
        line = self.load.stdout.readline()
        if not line:
            raise Failure(f"the load of volume {self.name} has ended: {self.programs.log_of(self.load.name)[-300:]}")
        return json.loads(line)

    def tell(self, command):
        self.load.stdin.write(command + "\n")
        self.load.stdin.flush()

    def fill(self):
        """Every block once: what was never written costs the first write more."""
        self.tell("fill")
        return self.answer()

    def begin(self, job, seconds):
        self.tell(f"run {job.kind} {job.bytes} {job.depth} {seconds} 0")

    def pids(self):
        pids = {f"replica {name}": self.lockstep.servers[name].pid for name in self.replicas
                if name in self.lockstep.servers}
        return {"gateway": self.gateway.pid, "load": self.load.pid, **pids}

    def counters(self):
        status = json.loads(run(f"{BUILD}/lockstep", "status", self.name, "--json"))["volumes"][0]
        return {key: status[f"ring_{key}_count"] for key in ("sqe", "cqe", "enter")}

    def run(self, job, seconds):
        before, cpu = self.counters(), Cpu(self.pids())
        self.begin(job, seconds)
        answer = self.answer()
        used, after = cpu.used(), self.counters()
        if answer["errors"]:
            raise Failure(f"volume {self.name}: {answer['errors']} requests of '{job.name}' failed")
        result = figures(answer, used)
        for key, count in after.items():
            result[f"{key}_per_op"] = round((count - before[key]) / max(answer["ops"], 1), 3)
        return result

    def rejoins(self):
        """Of a replica that came back: (milliseconds, bytes compared, bytes copied, bytes of those that were copied without
        comparing), from the gateway's log."""
        pattern = (r"event=rejoined .*duration_ms=(\d+) .*text=\"(\d+) bytes compared, (\d+) copied, "
                   r"(\d+) of them without comparing")
        return [tuple(int(word) for word in found)
                for found in re.findall(pattern, self.programs.log_of(self.gateway.name))]

    def stop(self):
        self.load.stdin.close()
        if self.programs.stop(self.gateway) != 0:
            raise Failure(f"the gateway of {self.name} did not end in order: "
                          f"{self.programs.log_of(self.gateway.name)[-300:]}")
        self.programs.stop(self.load)
        run(f"{BUILD}/lockstep", "volume", "delete", self.name, "--yes")
