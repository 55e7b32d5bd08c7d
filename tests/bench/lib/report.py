"""Results as a table for people, and as ratios: within one round only, because rounds differ more than subjects."""
import json
import os

from measure import spread

BULK_BYTES = 256 * 1024  # from here on a job is told in MB/s


def short(value):
    """Three digits or so."""
    if value is None:
        return "-"
    if value >= 100000:
        return f"{value / 1000:.0f}k"
    if value >= 10000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ranged(three):
    if three is None:
        return "-"
    return f"{short(three[0])} [{short(three[1])}..{short(three[2])}]"


class Results:
    """All runs: dictionaries with job, subject, round, and what was measured."""

    def __init__(self, runs):
        self.runs = runs

    def of(self, job, subject):
        return [run for run in self.runs if run["job"] == job and run["subject"] == subject]

    def names(self, key):
        return list(dict.fromkeys(run[key] for run in self.runs))

    def figure(self, job, subject, key):
        return spread([run.get(key) for run in self.of(job, subject)])

    def ratio(self, job, subject, other, key="iops"):
        """(median, least, most) of subject / other, round by round."""
        others = {run["round"]: run.get(key) for run in self.of(job, other)}
        pairs = [(run.get(key), others.get(run["round"])) for run in self.of(job, subject)]
        return spread([ours / theirs for ours, theirs in pairs if ours and theirs])


COLUMNS = ("", "IOPS", "MB/s", "p50 us", "p99 us", "CPU s/GiB", "Lockstep is")


def rows_of(results, job, ours):
    """One row a subject."""
    for subject in results.names("subject"):
        if not results.of(job, subject):
            continue
        row = [subject]
        for key in ("iops", "mb_s", "p50_us", "p99_us", "cpu_s_per_gib"):
            three = results.figure(job, subject, key)
            row.append(ranged(three) if key in ("iops", "mb_s") else short(three[0]) if three else "-")
        ratio = results.ratio(job, ours, subject) if subject != ours else None
        row.append(f"x {ratio[0]:.2f} [{ratio[1]:.2f}..{ratio[2]:.2f}]" if ratio else "")
        yield row


def aligned(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        yield "  ".join(cells).rstrip()


def print_comparison(results, ours):
    rows = [COLUMNS]
    for job in results.names("job"):
        rows.append((job,) + ("",) * (len(COLUMNS) - 1))
        rows += [["  " + row[0]] + row[1:] for row in rows_of(results, job, ours)]
    print("\n".join(aligned(rows)))


COUNTS = (("sqe_per_op", "SQEs"), ("cqe_per_op", "CQEs"), ("enter_per_op", "io_uring_enter"))


def count_rows(results, ours):
    """What the gateway's ring was asked, per operation: exact, whatever else the machine does."""
    for job in results.names("job"):
        counts = [results.figure(job, ours, key) for key, _ in COUNTS]
        if all(counts):
            yield (job, *(f"{three[0]:.2f}" for three in counts))


def print_counts(results, ours):
    rows = [("the gateway's ring, per operation", *(name for _, name in COUNTS)), *count_rows(results, ours)]
    print("\n".join(aligned(rows)))


def scaling_rows(runs):
    """(series, job, [(x, spread of IOPS, of MB/s, of CPU)])"""
    keys = dict.fromkeys((run["series"], run["job"]) for run in runs)
    for series, job in keys:
        own = [run for run in runs if run["series"] == series and run["job"] == job]
        points = []
        for x in dict.fromkeys(run["x"] for run in own):
            here = [run for run in own if run["x"] == x]
            points.append((x, *(spread([run.get(key) for run in here]) for key in ("iops", "mb_s", "cpu_s_per_gib"))))
        yield series, job, points


def print_scaling(runs):
    rows = [("scaling", "", "IOPS", "MB/s", "CPU s/GiB")]
    for series, job, points in scaling_rows(runs):
        rows.append((f"{series}: {job}", "", "", "", ""))
        rows += [("", str(x), ranged(iops), ranged(mb_s), short(cpu[0]) if cpu else "-")
                 for x, iops, mb_s, cpu in points]
    print("\n".join(aligned(rows)))


def print_targets(targets):
    rows = [("target", "wanted", "measured", "")]
    for target in targets:
        three = target["measured"]
        met = three and (three[0] >= target["wanted"] if target["at_least"] else three[0] <= target["wanted"])
        rows.append((target["text"], f"{'>=' if target['at_least'] else '<='} {target['wanted']}",
                     ranged(three), "met" if met else "missed" if three else "not measured"))
    print("\n".join(aligned(rows)))


def target(text, wanted, measured, at_least=True):
    return {"text": text, "wanted": wanted, "measured": measured, "at_least": at_least}


def write_json(path, document):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
