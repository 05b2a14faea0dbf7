"""What one payment costs: the whole gateway, beside a bare proxy and a naive gateway. `python bench/call.py`.

Method
- The call: POST /v1/payments with a new order number and Idempotency-Key; checked, signed by RSA-2048, its intent
  durable before it leaves, sent to the partner, the answer verified, its outcome durable before the caller hears.
- Targets, each a process of its own: `lendgate serve` on SQLite, nothing switched off; the yardstick, aiohttp to
  aiohttp and nothing else (bare_proxy.py); the same work with FastAPI, httpx and aiosqlite (naive_gateway.py).
- The partner is a process that writes one answer, signed beforehand. The load is a process with 64 callers, each of
  which calls again when it was answered (closed loop: rates are right, latencies are those of a full house).
- Targets run on one core, load and partner on another. Rounds are interleaved (gateway, bare, naive, gateway, …) in one
  run; figures are medians of the rounds, with the lowest and the highest beside them. The first round is thrown away.
- CPU is that of the target's whole process tree as the kernel counts it, until shortly after the last answer, so that
  what a target does behind its answers is in it. `others` is the share of the machine that all other work had.
- F is the floor that the signatures set: one RSA-2048 signature and one verification, timed in the same run on the
  target's core. G is the CPU of a call of the gateway, B that of the bare proxy. N = (G - F) / B says what the gateway
  costs beside the signatures, in bare proxies; the machine and the crypto library cancel out.
- At the end every call that was answered must have left one intent and one outcome, and `lendgate audit verify` must be
  content; otherwise the exit status is 1.

Only ratios travel to other machines. Where `others` is not near 0, the rates are those of whoever got the cores; the
CPU of a call, and what is made from it, suffers less.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from bench import machine, targets
from bench.loop import loop_name

SETTLE_SECONDS = 0.8
"""After a round, until its CPU is read: what a target does behind its answers takes less."""

CRYPTO = """
import sys, time
sys.path.insert(0, {root!r})
from bench.call import crypto_microseconds
from bench.targets import Keys
import tempfile, pathlib
from bench.machine import pin
pin(0, {core})
with tempfile.TemporaryDirectory() as folder:
    print(crypto_microseconds(Keys(pathlib.Path(folder))))
"""


@dataclass
class Series:
    """What the rounds of one target gave."""

    per_second: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # microseconds a call
    others: list[float] = field(default_factory=list)  # share of the machine, per cent
    answers: int = 0


def crypto_microseconds(keys: targets.Keys, seconds: float = 0.5) -> float:
    """One signature and one verification, with the keys' objects as the gateway holds them."""
    message, kind, digest = b"m" * 200, padding.PKCS1v15(), hashes.SHA256()
    signature = keys.partner.sign(message, kind, digest)
    public = keys.partner.public_key()
    began, count = time.process_time(), 0
    while time.process_time() - began < seconds:
        keys.own.sign(message, kind, digest)
        public.verify(signature, message, kind, digest)
        count += 1
    return (time.process_time() - began) / count * 1e6


def crypto_floor() -> float:
    """The same in a process of its own, on the targets' core."""
    code = CRYPTO.format(root=str(ROOT), core=targets.TARGET_CORE)
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def one_round(target: targets.Target, partner: targets.Target, run: str, options: argparse.Namespace) -> dict[str, Any]:
    """Load one target. Raises `RuntimeError` unless every call got a 201."""
    load = [sys.executable, str(ROOT / "bench/load.py"), "--port", str(target.port), "--run", run]
    load += ["--key", targets.API_KEY, "--seconds", str(options.seconds), "--callers", str(options.callers)]
    before, busy, began = machine.tree_seconds(target.process.pid), machine.busy_seconds(), time.monotonic()
    helped = machine.tree_seconds(partner.process.pid)
    process = subprocess.Popen(
        load,
        stdout=subprocess.PIPE,
        text=True,
        env=targets.environment(),
        preexec_fn=lambda: machine.pin(0, targets.LOAD_CORE),
    )
    try:
        said, _ = process.communicate(timeout=options.seconds + 60)
    finally:
        process.kill()
    time.sleep(SETTLE_SECONDS)
    report: dict[str, Any] = json.loads(said)
    if report["failures"] or set(report["statuses"]) != {"201"}:
        raise RuntimeError(f"{target.name} failed: {report}")
    used = machine.tree_seconds(target.process.pid) - before
    ours = used + machine.tree_seconds(partner.process.pid) - helped + report["cpu"]
    wall = (time.monotonic() - began) * machine.cores()
    report["used"] = used / report["answers"] * 1e6
    report["others"] = max(0.0, (machine.busy_seconds() - busy - ours) / wall * 100)
    return report


def measure(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Series], list[float], list[str]]:
    """All rounds; what they gave by target, the crypto floor of each round, and what was found wrong afterwards."""
    keys = targets.Keys(folder)
    partner, running = targets.start_all(folder, keys, options.targets)
    series: dict[str, Series] = defaultdict(Series)
    floors: list[float] = []
    try:
        for number in range(options.rounds + 1):
            for target in running:
                report = one_round(target, partner, f"{number:03d}", options)
                one = series[target.name]
                one.answers += report["answers"]
                if number == 0:
                    continue  # warming up
                one.per_second.append(report["per_second"])
                one.p50.append(report["p50"] * 1000)
                one.p99.append(report["p99"] * 1000)
                one.cpu.append(report["used"])
                one.others.append(report["others"])
            floors.append(crypto_floor())
    finally:
        for target in (*running, partner):
            target.stop()
    wrong = [line for target in running for line in check(target, series[target.name], folder)]
    return series, floors, wrong


def check(target: targets.Target, series: Series, folder: Path) -> list[str]:
    """What is wrong with the records that a target left."""
    if target.records is None:
        return []
    counts = target.records(folder)
    wrong = []
    if len(counts) != series.answers:
        wrong.append(f"{target.name}: {series.answers} answers, but {len(counts)} payments have records")
    odd = [payment for payment, found in counts.items() if found != (1, 1)]
    if odd:
        wrong.append(f"{target.name}: {len(odd)} payments have not one intent and one outcome, such as {odd[0]}")
    if target.name == "gateway":
        command = [sys.executable, "-m", "gateway.cli", "audit", "verify", "--config", str(folder / "lendgate.toml")]
        verified = subprocess.run(command, capture_output=True, text=True, env=targets.environment(folder / "plugins"))
        if verified.returncode != 0:
            wrong.append(f"gateway: the log does not verify: {verified.stdout[-300:]}{verified.stderr[-300:]}")
    return wrong


def told(options: argparse.Namespace, series: dict[str, Series], floors: list[float], fsync: float) -> str:
    """The figures, as text."""
    lines = [
        f"lendgate bench/call.py, {time.strftime('%Y-%m-%d', time.gmtime())}",
        f"{machine.cpu_name()}, Python {platform.python_version()}, {loop_name()}, fsync {fsync:.2f} ms",
        f"{options.rounds} rounds of {options.seconds:g} s each, {options.callers} callers; median (lowest..highest)",
        "",
        f"{'':12} {'calls/s':>22} {'p50 ms':>18} {'p99 ms':>18} {'CPU us/call':>20} {'others %':>9}",
    ]
    for name, one in series.items():
        lines.append(
            f"{name:12} {spread(one.per_second, 0):>22} {spread(one.p50, 1):>18} {spread(one.p99, 1):>18} "
            f"{spread(one.cpu, 0):>20} {statistics.median(one.others):>9.0f}"
        )
    lines += ["", f"F, one RSA-2048 signature and one verification: {spread(floors, 0)} us"]
    return "\n".join([*lines, *ratios(series, statistics.median(floors))])


def ratios(series: dict[str, Series], floor: float) -> list[str]:
    """The gateway beside the others; each ratio is the median of the ratios of the rounds."""
    lines: list[str] = []
    gateway = series.get("gateway")
    if gateway is None:
        return lines
    lines.append(f"F / G, the share of the signatures: {floor / statistics.median(gateway.cpu):.2f}")
    if bare := series.get("bare proxy"):
        n = [(g - floor) / b for g, b in zip(gateway.cpu, bare.cpu, strict=True)]
        lines.append(f"N = (G - F) / B, all the rest in bare proxies: {spread(n, 2)}")
    for name, one in series.items():
        if one is gateway:
            continue
        rate = [g / o for g, o in zip(gateway.per_second, one.per_second, strict=True)]
        p50 = [g / o for g, o in zip(gateway.p50, one.p50, strict=True)]
        p99 = [g / o for g, o in zip(gateway.p99, one.p99, strict=True)]
        cpu = [o / g for g, o in zip(gateway.cpu, one.cpu, strict=True)]
        lines.append(f"gateway / {name}: calls/s {spread(rate, 2)}, p50 {spread(p50, 2)}, p99 {spread(p99, 2)}")
        lines.append(f"gateway / {name}, calls for the same CPU: {spread(cpu, 3)}")
    return lines


def spread(values: list[float], places: int) -> str:
    """`median (lowest..highest)`."""
    return f"{statistics.median(values):.{places}f} ({min(values):.{places}f}..{max(values):.{places}f})"


def main() -> int:
    """Run it; the exit status is 1 if a record is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--targets", nargs="+", choices=["gateway", "bare", "naive"], default=None)
    parser.add_argument("--output", type=Path, help="write the figures to this file too")
    options = parser.parse_args()
    if options.targets is None:
        options.targets = ["gateway", "bare", *(["naive"] if targets.naive_can_run() else [])]
    with tempfile.TemporaryDirectory(prefix="lendgate-bench-") as name:
        folder = Path(name)
        fsync = machine.fsync_milliseconds(folder)
        series, floors, wrong = measure(options, folder)
    text = told(options, series, floors, fsync)
    if "naive" not in options.targets:
        text += "\n(no naive gateway: it needs the extra `bench`)"
    checked = sum(series[name].answers for name in ("gateway", "naive") if name in series)
    text += "\n" + (
        "\n".join(wrong) or f"checked: {checked} calls left one intent and one outcome each; the log verifies"
    )
    print(text)
    if options.output:
        options.output.write_text(text + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
