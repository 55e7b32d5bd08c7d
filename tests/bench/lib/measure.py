"""CPU time of processes, medians, and what a run is called: what both benchmarks need to turn counters into numbers."""
import os
import statistics
import subprocess

GIB = 1 << 30
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process with all its threads, and of its children that it has waited for."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICK


class Cpu:
    """CPU time that named processes use between its making and used()."""

    def __init__(self, pids):
        self.pids = dict(pids)
        self.before = {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    def used(self):
        return {name: round(cpu_seconds(pid) - self.before[name], 3) for name, pid in self.pids.items()}


def figures(answer, cpu):
    """What a run is worth: from counted operations and bytes, seconds, and CPU seconds by process."""
    seconds = answer["seconds"]
    result = {
        "iops": answer["ops"] / seconds,
        "mb_s": answer["bytes"] / seconds / 1e6,
        "cpu": cpu,
        "cpu_s_per_gib": sum(cpu.values()) / (answer["bytes"] / GIB) if answer["bytes"] else None,
    }
    for key in ("p50_us", "p99_us"):
        if key in answer:
            result[key] = answer[key]
    return result


def spread(values):
    """(median, least, most) of what is not None; None when there is nothing."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    return statistics.median(values), min(values), max(values)


def out_of(smoke):
    """Where results go. A smoke run's figures mean nothing: they must not take the place of real ones."""
    return "build/bench/smoke" if smoke else "build/bench"


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return os.uname().machine


def machine():
    """The machine and the commit: no table is of use without them."""
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_kib = int(file.readline().split()[1])
    commit = output_of("git", "rev-parse", "--short", "HEAD") or "unknown"
    if output_of("git", "status", "--porcelain", "--untracked-files=no"):
        commit += " with changes"
    return {
        "processor": processor(),
        "cpus": os.cpu_count(),
        "memory_gib": round(memory_kib / (1 << 20), 1),
        "kernel": os.uname().release,
        "load_before": os.getloadavg()[0],
        "commit": commit,
        "date": output_of("date", "-u", "+%Y-%m-%d"),
    }
