"""Boots the virtual machine for a benchmark's inner half, and turns what a run left in the results share into figures."""
import json
import os
import re
import shutil
import subprocess

from measure import GIB, TICK
from programs import Failure


def boot(work, memory_mb, is_first, options, script, variables):
    """Runs `script` in the guest to its end; `work` is its results share, with whatever is in it already."""
    environment = {**os.environ, **{f"LOCKSTEP_BENCH_{name}": str(value) for name, value in variables.items()}}
    words = ["deploy/guest/run-guest", "--memory", str(memory_mb), "--timeout", "2400", "--results", work, *options]
    if is_first:
        words.append("--first")
    with subprocess.Popen([*words, "--", script], env=environment) as guest:
        try:
            code = guest.wait()
        except BaseException:
            guest.terminate()  # it ends the virtual machine
            raise
    if code:
        raise Failure(f"the guest ended with {code}; what it left is in {work}")


def fresh(directory):
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)


def kernel_release():
    with open("build/cache/guest/kernel-7.3/version", encoding="ascii") as file:
        return file.read().strip() + " (guest: QEMU, software emulation, 2 processors)"


# ---- CPU time ----

# The measurement itself, between fio's job and the snapshot.
OUR_OWN = ("snapshot", "sh", "cat")


def snapshot(path):
    """{pid: (name, seconds)} of one look at /proc, kernel threads too. A kworker's name changes all the time."""
    tasks = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            found = re.match(r"(\d+) \((.*)\) \S ", line)
            if found:
                fields = line[found.end():].split()
                tasks[found[1]] = found[2], (int(fields[10]) + int(fields[11])) / TICK
    return tasks


def group_of(name):
    """Kernel threads come and go with numbers in their names."""
    return re.split(r"[/:]", name)[0] if name.startswith(("kworker", "ksoftirqd")) else name


def cpu_of(directory):
    """{name: seconds} of whoever ran between the snapshots. The scheduler's own account of each, which misses nothing; that of
    the machine (the first line of /proc/stat) is sampled at ticks, and an emulated processor loses those while it is busy."""
    before, after = snapshot(f"{directory}/before"), snapshot(f"{directory}/after")
    used = {}
    for pid, (name, seconds) in after.items():
        name = group_of(name)
        if name not in OUR_OWN:
            used[name] = used.get(name, 0) + seconds - before.get(pid, (name, 0))[1]
    return used


# ---- what fio and the gateway say ----

def statuses(directory):
    """The volume's status before and after the run; None where the subject is no volume of ours."""
    volumes = []
    for name in ("status-before", "status-after"):
        path = f"{directory}/{name}"
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as file:
            volumes.append(json.load(file)["volumes"][0])
    return volumes


def counts_of(directory, operations):
    volumes = statuses(directory)
    if not volumes:
        return {}
    return {f"{key}_per_op": round((volumes[1][f"ring_{key}_count"] - volumes[0][f"ring_{key}_count"]) / operations, 3)
            for key in ("sqe", "cqe", "enter")}


def percentile(sides, which):
    """Of reads and writes together: the worse of the two."""
    return max(side["clat_ns"]["percentile"][which] for side in sides) / 1000


def figures_of(directory, what):
    """One run of fio: rates, latencies, CPU time of all in the guest. `what` names it when it failed."""
    with open(f"{directory}/fio.json", encoding="utf-8") as file:
        text = file.read()
    fio = json.loads(text[text.index("{"):])["jobs"][0]
    if fio["error"]:
        raise Failure(f"fio on {what}: error {fio['error']}")
    sides = [fio[side] for side in ("read", "write") if fio[side]["total_ios"]]
    operations, count = (sum(side[key] for side in sides) for key in ("total_ios", "io_bytes"))
    if not operations:
        raise Failure(f"fio on {what}: nothing was completed")
    seconds = max(side["runtime"] for side in sides) / 1000
    used = cpu_of(directory)
    return {"iops": operations / seconds, "mb_s": count / seconds / 1e6, "p50_us": percentile(sides, "50.000000"),
            "p99_us": percentile(sides, "99.000000"), "gib": count / GIB,
            "cpu": {name: round(seconds, 2) for name, seconds in used.items() if seconds >= 0.02},
            "cpu_s_per_gib": sum(used.values()) / (count / GIB), **counts_of(directory, operations)}
