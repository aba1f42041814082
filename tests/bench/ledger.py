#!/usr/bin/env python3
"""Measures verifiers on one generated ledger, all in one run: `python3 tests/bench/ledger.py`.

It builds `lifeboat` (release), generates the same ledger plain, gzip and zstd, warms the page cache, and then runs every
program once a round, in the same order; one that has taken a minute in all is not run again. Wall and processor time (user +
system) and the peak of memory are the kernel's, by wait4. Everything lies in target/bench, the report in target/bench/ledger.md and
ledger.json; `--write` puts it into functions/ledger/BENCHMARK.md. `--profile` writes target/bench/profile.txt instead: where the
time goes. Needs rclone, and the network once for orjson. Keep the machine quiet.

What it does not show: reading from S3, a cold disk, another machine.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "bench"
ORJSON = "orjson==3.13.0"
SECONDS_MAX = 60  # for one program, of all rounds; the first is run to its end


def quietly(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, **options).stdout


def prepare(options):
    """Builds, generates and installs what is not there yet; returns the folder of the ledgers."""
    if not shutil.which("rclone"):
        sys.exit("rclone is missing (Debian, Ubuntu: apt-get install rclone)")
    if options.profile and not shutil.which("perf"):
        sys.exit("perf is missing (Debian: apt-get install linux-perf; Ubuntu: linux-tools-generic)")
    if options.lifeboat is None:
        # A profile needs the names of functions, which a release does not carry.
        target, more = (BENCH / "profiled", {"CARGO_PROFILE_RELEASE_STRIP": "none"}) if options.profile else (BENCH.parent, {})
        build = ["cargo", "build", "--release", "--locked", "-p", "lifeboat", "--target-dir", target]
        subprocess.run(build, cwd=ROOT, check=True, env={**os.environ, **more})
        options.lifeboat = target / "release" / "lifeboat"
    ledgers = BENCH / f"ledger-{options.size}-{options.seed}"
    for compression in ("none", "gzip", "zstd"):
        folder = ledgers / compression
        if not folder.exists():
            print(f"generating {folder}", flush=True)
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            ledgers.mkdir(parents=True, exist_ok=True)
            quietly(
                options.lifeboat, "ledger", "generate", unfinished, "--seed", options.seed, "--bytes", options.size,
                "--objects", options.objects, "--streams", options.streams, "--compress", compression, "--seal",
            )
            unfinished.rename(folder)
    if not (ledgers / "copy").exists():
        shutil.copytree(ledgers / "none", ledgers / "copy.unfinished", dirs_exist_ok=True)
        (ledgers / "copy.unfinished").rename(ledgers / "copy")
    venv = BENCH / ORJSON.replace("==", "-")
    if not (venv / "whole").exists():
        quietly(sys.executable, "-m", "venv", venv)
        quietly(venv / "bin/pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", ORJSON)
        (venv / "whole").touch()
    return ledgers, venv / "bin/python"


def profile(lifeboat, folder):
    """Where one thread's time goes, by function. Where the processor's own counters are not to be had, by the clock."""
    data, report = BENCH / "perf.data", BENCH / "profile.txt"
    quietly("perf", "record", "--freq", 999, "--event", "cpu-clock", "--output", data, "--", lifeboat, "ledger", "verify", folder, "--threads", 1)
    report.write_text(quietly("perf", "report", "--stdio", "--input", data, "--percent-limit", 0.5))
    print(report.read_text())


def programs(lifeboat, ledgers, python):
    """Name and command of each; the folder comes last."""
    verifiers = ROOT / "tests/verifiers"
    files = sorted(str(path) for path in (ledgers / "none").rglob("*.ndjson"))
    yield from (
        (f"`lifeboat ledger verify`, {name}, {threads} thread{'s' * (threads > 1)}",
         [lifeboat, "ledger", "verify", ledgers / compression, "--threads", threads])
        for name, compression in (("plain", "none"), ("gzip", "gzip"), ("zstd", "zstd"))
        for threads in (1, 2)
    )
    yield "`plain.py --orjson`, plain", [python, verifiers / "plain.py", "--orjson", ledgers / "none"]
    yield "`plain.py` (`json`), plain", [python, verifiers / "plain.py", ledgers / "none"]
    yield "`verify.py` (strict), plain", [python, verifiers / "verify.py", ledgers / "none"]
    yield "`rclone check` with a copy", ["rclone", "check", ledgers / "none", ledgers / "copy"]
    yield "`sha256sum` of all files", ["sha256sum", "--", *files]


def measure(command):
    """Wall seconds, processor seconds, peak of memory in MiB."""
    with open(os.devnull, "wb") as nothing, open(BENCH / "stderr", "wb") as errors:
        began = time.monotonic()
        process = subprocess.Popen([str(part) for part in command], stdin=nothing, stdout=nothing, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[:4]}: exit code {process.returncode}\n{(BENCH / 'stderr').read_text()}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def machine():
    cpu = next(line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    flags = next(line for line in open("/proc/cpuinfo") if line.startswith("flags")).split()
    sha = "with" if "sha_ni" in flags else "without"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {os.cpu_count()} cores, {sha} SHA instructions, {memory:.0f} GiB, Linux {platform.release()}"


PAGE = """# Verifiers, measured

One generated ledger, all programs in one run, by `python3 tests/bench/ledger.py --write`, which wrote this page.

{table}

A processor second is user and system together, of all threads; a GB is 10^9 bytes of the plain ledger, whatever was read for them. Memory
is the highest of all rounds, and never told as less than what the measuring program itself has in memory.

| Program | What it shows |
|---|---|
| `lifeboat ledger verify` | All of [FORMAT.md](FORMAT.md): every line strictly read, every sequence, link, epoch, and the end |
| [`verify.py`](../../tests/verifiers/verify.py) | The same, in Python alone |
| [`plain.py`](../../tests/verifiers/plain.py) | Sequences and links only, by a JSON reader that takes duplicate keys, with `json` or `orjson` |
| `rclone check` | That two folders hold the same bytes, by MD5 of all files in both. Nothing of a chain: a gap in both is no difference |
| `sha256sum` | Nothing by itself. It is what hashing all bytes once costs, without reading a line |

## Aims

| Aim | Measured | |
|---|---|---|
{aims}
{why}"""


# From one profile on one machine: measured again by `--profile` and the crate's bench, and put here by hand.
WHY = """
## Why the first two are missed

Where the time goes, by `perf record`: of the whole program (plain, 1 thread), 26 % is the kernel's, which copies the files out of the page
cache; the figures above count it. Of the crate's own work (`cargo bench -p lifeboat-ledger --bench verify`: 0.88 GB/s for whole segments in
the same hour), 36 % is SHA-256 by the processor's instructions (2.2 GB/s alone), about 40 % the strict reading of each line (1.9 GB/s
alone), the rest lines, sequences and who was entitled to write. One after the other these two alone come to 1.0 GB/s. The machine is shared
and not always as fast: the same bench has given 1.18 GB/s on it on another day. Twenty times the script would be 1.9 GB/s, the
speed of reading the lines without hashing them.
"""


def aims(table):
    """What was aimed at, what came of it, and whether that is enough."""
    rows = {row["program"]: row for row in table}
    ours = [row for row in table if row["program"].startswith("`lifeboat")]
    one, two = (rows.get(f"`lifeboat ledger verify`, plain, {threads}") for threads in ("1 thread", "2 threads"))
    orjson = rows.get("`plain.py --orjson`, plain")
    if not (one and two and orjson):
        return
    times, speedup = one["gb_per_processor_second"] / orjson["gb_per_processor_second"], one["wall_seconds"] / two["wall_seconds"]
    peak = max(row["memory_mib"] for row in ours)
    yield "1.2 GB a processor second or more, plain, 1 thread", f"{one['gb_per_processor_second']:.2f}", one["gb_per_processor_second"] >= 1.2
    yield "20 times `plain.py --orjson` or more, by processor time", f"{times:.1f}", times >= 20
    yield "1.8 times as fast with 2 threads, by wall time", f"{speedup:.2f}", speedup >= 1.8
    yield "64 MiB of memory at most", f"{peak:.0f} MiB", peak <= 64


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", default="1GB", help="of the plain ledger, as `lifeboat ledger generate --bytes` takes it")
    parser.add_argument("--objects", default="1500")
    parser.add_argument("--streams", default="4")
    parser.add_argument("--seed", default="42")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lifeboat", type=Path, help="a program that was built already, instead of building it")
    parser.add_argument("--write", action="store_true", help="functions/ledger/BENCHMARK.md, too")
    parser.add_argument("--profile", action="store_true", help="no table, but where the time goes (perf), plain, 1 thread")
    parser.add_argument("--only", default="", help="only the programs whose name has this in it")
    options = parser.parse_args()
    BENCH.mkdir(parents=True, exist_ok=True)
    ledgers, python = prepare(options)
    if options.profile:
        return profile(options.lifeboat, ledgers / "none")

    proofs = [json.loads(quietly(options.lifeboat, "ledger", "verify", ledgers / c, "--json")) for c in ("none", "gzip", "zstd")]
    heads = [[(stream["stream"], stream["head"]) for stream in proof["streams"]] for proof in proofs]
    assert heads[0] == heads[1] == heads[2], "the three are not the same ledger"
    size = sum(path.stat().st_size for path in (ledgers / "none").rglob("*.ndjson"))
    counts = proofs[0]["counts"]
    # Whatever is read from the disk is read now.
    for path in ledgers.rglob("*.ndjson"):
        path.read_bytes()

    chosen = [(name, command) for name, command in programs(options.lifeboat, ledgers, python) if options.only in name]
    runs = {name: [] for name, _ in chosen}
    for number in range(options.rounds):
        for name, command in chosen:
            if sum(wall for wall, _, _ in runs[name]) > SECONDS_MAX:
                continue
            runs[name].append(measure(command))
            wall, processor, peak = runs[name][-1]
            print(f"round {number + 1}: {name}: {wall:.2f} s, {processor:.2f} s of processor, {peak:.0f} MiB", flush=True)

    table = []
    for name, measured in runs.items():
        wall, processor = (statistics.median(column) for column in list(zip(*measured))[:2])
        table.append({
            "program": name, "rounds": len(measured), "wall_seconds": wall, "processor_seconds": processor,
            "gb_per_processor_second": size / 1e9 / processor, "gb_per_second": size / 1e9 / wall,
            "memory_mib": max(peak for _, _, peak in measured),
            "processor_seconds_all": [processor for _, processor, _ in measured],
            "wall_seconds_all": [wall for wall, _, _ in measured],
        })
    tools = {
        "rclone": quietly("rclone", "version").splitlines()[0], "python": f"Python {platform.python_version()}", "orjson": ORJSON,
        "sha256sum": quietly("sha256sum", "--version").splitlines()[0], "rustc": quietly("rustc", "--version").strip(),
    }
    ledger = f"{size / 1e9:.3f} GB, {counts['entries']:,} entries ({size / counts['entries']:.0f} bytes each), {counts['objects']:,} objects"
    lines = [
        f"{machine()}; {', '.join(tools.values())}.", "",
        f"The ledger: {ledger}, {options.streams} streams, seed {options.seed}. Times are the median of the rounds; one that had taken {SECONDS_MAX} s in all was not run again.", "",
        "| Program | Rounds | Wall, s | Processor, s | GB a processor second | GB a second | Memory, MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['program']} | {row['rounds']} | {row['wall_seconds']:.2f} | {row['processor_seconds']:.2f} | "
        f"{row['gb_per_processor_second']:.2f} | {row['gb_per_second']:.2f} | {row['memory_mib']:.0f} |"
        for row in table
    ]
    judged = [f"| {aim} | {measured} | {'reached' if reached else '**missed**'} |" for aim, measured, reached in aims(table)]
    why = WHY if any("**missed**" in row for row in judged[:2]) else ""
    page = PAGE.format(table="\n".join(lines), aims="\n".join(judged), why=why)
    (BENCH / "ledger.md").write_text(page)
    if options.write:
        (ROOT / "functions/ledger/BENCHMARK.md").write_text(page)
    report = {"machine": machine(), "tools": tools, "bytes": size, "counts": counts, "seed": options.seed, "table": table}
    (BENCH / "ledger.json").write_text(json.dumps(report, indent=2) + "\n")
    print("\n" + page)


if __name__ == "__main__":
    main()
