"""What a volume is compared with natively: NBD servers that keep one copy in RAM, and the limit program."""
import json
import os
import time

from measure import Cpu, figures
from programs import Failure, free_port, run


def cpu_of(command):
    """Runs a command to its end: (its output, its own CPU seconds, seconds it took)."""
    before, start = os.times(), time.monotonic()
    output = run(*command)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return output, round(used, 3), time.monotonic() - start


class NbdServer:
    """One NBD server; fio's nbd engine is its client."""

    def __init__(self, programs, directory, kind, size_bytes):
        self.name = kind
        self.programs = programs
        self.size_bytes = size_bytes
        self.port = free_port()
        self.uri = f"nbd://127.0.0.1:{self.port}/"
        self.image = os.path.join(directory, kind + ".img")
        command, pid_file = getattr(self, kind.replace("-", "_"))(directory)
        self.program = programs.start_daemon(kind, command, pid_file) if pid_file else programs.start(kind, command)
        programs.wait_for_port(self.program, self.port)
        self.fio("write", 1 << 20, 8, ["--size=100%"])

    def nbdkit(self, _directory):
        return ["nbdkit", "-f", "-i", "127.0.0.1", "-p", self.port, "memory", self.size_bytes], None

    def qemu_nbd(self, _directory):
        self.make_image()
        return ["qemu-nbd", "-t", "-e", "8", "-x", "", "-f", "raw", "--cache=writeback", "-b", "127.0.0.1",
                "-p", self.port, self.image], None

    def nbd_server(self, directory):
        self.make_image()
        config = os.path.join(directory, "nbd-server.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"[generic]\nlistenaddr = 127.0.0.1\nport = {self.port}\n[bench]\n"
                       f"exportname = {self.image}\n")
        self.uri += "bench"
        pid_file = os.path.join(directory, "nbd-server.pid")
        return ["nbd-server", "-C", config, "-p", pid_file], pid_file

    def make_image(self):
        with open(self.image, "wb") as file:
            file.truncate(self.size_bytes)

    def fio(self, kind, size, depth, more):
        """fio's JSON and the CPU seconds of its job (not of its own start, which is as long as a short run)."""
        output, _, _ = cpu_of(["fio", "--name=bench", "--ioengine=nbd", f"--uri={self.uri}", f"--rw={kind}",
                                  f"--bs={size}", f"--iodepth={depth}", "--randrepeat=0", "--norandommap=1",
                                  "--output-format=json", *more])
        result = json.loads(output[output.index("{"):])["jobs"][0]
        return result, round((result["usr_cpu"] + result["sys_cpu"]) / 100 * result["job_runtime"] / 1000, 3)

    def run(self, job, seconds):
        cpu = Cpu({self.name: self.program.pid})
        side = "read" if "read" in job.kind else "write"
        fio, used = self.fio(job.kind, job.bytes, job.depth,
                             [f"--size={self.size_bytes}", "--time_based=1", f"--runtime={seconds}"])
        if fio["error"]:
            raise Failure(f"fio on {self.name}, '{job.name}': error {fio['error']}")
        result, percentiles = fio[side], fio[side]["clat_ns"]["percentile"]
        answer = {"ops": result["total_ios"], "bytes": result["io_bytes"], "seconds": result["runtime"] / 1000,
                  "p50_us": percentiles["50.000000"] / 1000, "p99_us": percentiles["99.000000"] / 1000}
        return figures(answer, {**cpu.used(), "fio": used})

    def copy(self, source):
        """nbdcopy of a whole file to the server, as it comes."""
        cpu = Cpu({self.name: self.program.pid})
        _, used, seconds = cpu_of(["nbdcopy", "--connections=1", "--requests=8", "--", source, self.uri])
        count = os.path.getsize(source)
        return figures({"ops": count >> 20, "bytes": count, "seconds": seconds}, {**cpu.used(), "nbdcopy": used})


class Limit:
    """The limit program: the same bytes to as many receivers, and nothing else."""

    def __init__(self, build, receivers):
        self.name = "limit"
        self.build = build
        self.receivers = receivers

    def run(self, job, seconds):
        output, used, _ = cpu_of([f"{self.build}/tests/bench/limit", "--receivers", self.receivers, "--bytes",
                                  job.bytes, "--depth", job.depth, "--seconds", seconds])
        answer = json.loads(output)
        # Set-up included, which is why this one's CPU time is not a figure per GiB.
        result = figures(answer, {"limit": used})
        result["cpu_s_per_gib"] = None
        return result
