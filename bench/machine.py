"""What a process tree and the machine have spent, as the kernel counts it, and where processes run.

Nothing that a target says about itself counts: user and system time of every process and thread in its tree do.
"""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

__all__ = ["busy_seconds", "cores", "cpu_name", "fsync_milliseconds", "pin", "tree_seconds"]

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat behind the name, which may hold spaces: [1] is the parent, [11] to [14] are times."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree_seconds(root: int) -> float:
    """CPU seconds of `root`, of everything below it, and of children that have ended."""
    children: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = _stat(int(entry.name))
        except OSError:
            continue  # it ended meanwhile
        children.setdefault(int(fields[1]), []).append(int(entry.name))
        times[int(entry.name)] = sum(int(value) for value in fields[11:15]) / TICKS
    waiting, total = [root], 0.0
    while waiting:
        pid = waiting.pop()
        total += times.get(pid, 0.0)
        waiting.extend(children.get(pid, []))
    return total


def busy_seconds() -> float:
    """CPU seconds that all processes of the machine have had."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def cores() -> int:
    """How many cores the machine has for us."""
    return len(os.sched_getaffinity(0))


def pin(pid: int, core: int) -> None:
    """Keep a process, and what it will start, on one core. Threads that it has already stay where they are."""
    ours = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(pid, {ours[core % len(ours)]})


def cpu_name() -> str:
    """The processor's name, or the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def fsync_milliseconds(folder: Path, times: int = 100) -> float:
    """Median of writing 4 KiB and waiting for the disk."""
    took = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return sorted(took)[times // 2] * 1000
