#!/usr/bin/env python3
"""Times fieldstep beside the Python systems that compute the same network and prints the ratios.

    python benchmarks/peers/peers.py --family mpp --reference CHECKOUT [--jax-reference CHECKOUT] \\
        --program build/release/examples/cli/fieldstep --variant Ti --frames 4 --threads 2

Everyone gets the same shapes, threads and CPUs, float32 and synthetic weights: only time counts here, agreement of the
numbers is the business of the tests. Machines drift (heat, neighbours), so runs are interleaved, ours, peer, ours,
peer, ..., and a ratio is taken between neighbours in time. A peer lives in a worker process that compiles once and is
stopped by a signal until its turn comes, so exactly one process computes at any time. A peer that is not installed or
fails is listed with the reason. The driver itself needs the standard library only.
"""

import argparse
import contextlib
import importlib
import json
import math
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

# A family is a module beside this script: PEERS, VARIANTS, FRAMES and FIELDS if left out, model(options),
# build(peer, options).
FAMILIES = ["mpp", "poseidon"]


def parse():
    parser = argparse.ArgumentParser(description="Times fieldstep beside its Python peers and prints the ratios.")
    parser.add_argument("--family", choices=FAMILIES, default="mpp")
    parser.add_argument("--reference", required=True, help="checkout of the original in PyTorch")
    parser.add_argument("--jax-reference", help="checkout of the original's port to JAX")
    parser.add_argument("--program", default="build/release/examples/cli/fieldstep", help="the fieldstep program")
    parser.add_argument("--variant", help="Ti, S, B, L of mpp; T, S, B, L of poseidon; the smallest if left out")
    parser.add_argument("--mode", choices=["forward", "train"], default="forward")
    parser.add_argument("--frames", type=positive, help="4 of mpp, 1 of poseidon if left out")
    parser.add_argument("--fields", type=positive, help="3 of mpp, 4 of poseidon if left out")
    parser.add_argument("--grid", type=extents, default=(128, 128), metavar="HxW")
    parser.add_argument("--batch", type=positive, default=1)
    parser.add_argument("--threads", type=positive, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeat", type=positive, default=10, help="timed calls of everyone in a round")
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--peers", help="comma-separated choice; all of the family if left out")
    parser.add_argument("--timeout", type=positive, default=3600, help="seconds a peer may take for one answer")
    parser.add_argument("--json", action="store_true", help="one JSON line for everyone instead of the table")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()

    family = importlib.import_module(options.family)
    options.variant = options.variant or next(iter(family.VARIANTS))
    options.frames, options.fields = options.frames or family.FRAMES, options.fields or family.FIELDS
    options.peers = options.peers.split(",") if options.peers else list(family.PEERS)
    for peer in options.peers:
        if peer not in family.PEERS:
            parser.error(f"--peers: {peer} found, some of {', '.join(family.PEERS)} wanted")
    if options.variant not in family.VARIANTS:
        parser.error(f"--variant: {options.variant} found, one of {', '.join(family.VARIANTS)} wanted")
    if options.threads > len(os.sched_getaffinity(0)):
        parser.error(f"--threads: {options.threads} found, at most {len(os.sched_getaffinity(0))} (usable CPUs) wanted")
    return options, family


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def extents(text):
    height, width = map(positive, text.split("x"))
    return height, width


class PeerFailed(Exception):
    """Why a peer is left out, in one line."""


class Peer:
    """A peer in a process of its own, stopped but for its turn."""

    def __init__(self, name, timeout):
        self.name = name
        self.timeout = timeout
        self.pairs = []  # per round: the line of our bench just before, the peer's seconds
        self.about = {}
        self.complaints = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--worker", name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.complaints, text=True,
            process_group=0)  # should the driver be killed, the kernel wakes and ends the stopped group
        self._listen()

    def take_turn(self, ours):
        self.process.send_signal(signal.SIGCONT)
        with contextlib.suppress(BrokenPipeError):  # a dead worker shows when it does not answer
            print("go", file=self.process.stdin, flush=True)
        if seconds := self._listen():
            self.pairs.append((ours, seconds))

    def left_out(self):
        return "left_out" in self.about

    def record(self):
        if self.left_out():
            return {"left_out": self.about["left_out"]}
        medians = [statistics.median(seconds) for _, seconds in self.pairs]
        return {**self.about, "min_s": min(min(seconds) for _, seconds in self.pairs),
                "median_s": statistics.median(medians),
                "ratio": statistics.median(m / ours["median_s"] for m, (ours, _) in zip(medians, self.pairs))}

    def end(self):
        self.process.kill()
        self.process.wait()

    def _listen(self):
        """The worker's next answer goes to about, the seconds in it to the caller."""
        try:
            answer = self._answer()
            self.process.send_signal(signal.SIGSTOP)
        except PeerFailed as reason:
            answer = {"left_out": str(reason)}
            self.end()
        seconds = answer.pop("seconds", None)
        self.about.update(answer)
        return seconds

    def _answer(self):
        if not select.select([self.process.stdout], [], [], self.timeout)[0]:
            raise PeerFailed(f"no answer within {self.timeout} s")
        if line := self.process.stdout.readline():
            return json.loads(line)
        self.complaints.seek(0)
        complaint = self.complaints.read().strip().split("\n")[-1]
        raise PeerFailed(f"ended with status {self.process.wait()}: {complaint}"[:200])


def serve(name, family, options):
    """The worker's side: builds the peer and calls it once, which compiles it; then times calls for each line read."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the libraries print must not be taken for an answer
    try:
        system, step = family.build(name, options)
        begin = time.perf_counter()
        size = family.norm(step())
        first = time.perf_counter() - begin
        if not math.isfinite(size):
            raise ArithmeticError("its output is not finite")
    except Exception as error:  # whatever it was is the reason why this peer is left out
        print(json.dumps({"left_out": f"{type(error).__name__}: {error}".split("\n")[0][:200]}), file=answers)
        return
    print(json.dumps({"system": system, "first_call_s": first, "output_norm": size}), file=answers)
    for _ in sys.stdin:
        step()  # not timed: the caches hold another's data
        seconds = []
        for _ in range(options.repeat):
            begin = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begin)
        print(json.dumps({"seconds": seconds, "peak_rss_mib": peak_rss_mib()}), file=answers)


def peak_rss_mib():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def run_ours(family, options):
    """One run of our program's bench: its line."""
    command = [options.program, "bench", "--json", "--model", family.model(options), "--mode", options.mode,
               "--grid", "{}x{}".format(*options.grid)]
    for name in ("frames", "fields", "batch", "threads", "repeat"):
        command += [f"--{name}", str(getattr(options, name))]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"peers.py: {options.program}: {error.strerror}")
    if done.returncode != 0:
        sys.exit(f"peers.py: {' '.join(command)}: status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def compare(family, options):
    """Starts the peers one after the other, plays the rounds and returns one record for everyone, ours first."""
    peers = []
    ours = [run_ours(family, options)]  # a wrong option shows now, not after minutes of compilation
    try:
        for name in options.peers:
            note(f"{name} starts")
            peers.append(Peer(name, options.timeout))
            if peers[-1].left_out():
                note(f"{name} is left out: {peers[-1].about['left_out']}")
        for peer in peers * options.rounds:
            if not peer.left_out():
                ours.append(run_ours(family, options))
                peer.take_turn(ours[-1])
    finally:
        for peer in peers:
            peer.end()

    best = {**ours[0], "peer": "fieldstep", "system": "fieldstep", "ratio": 1.0}
    best["min_s"] = min(line["min_s"] for line in ours)
    for key in ("median_s", "share_of_peak", "peak_rss_mib"):
        best[key] = statistics.median(line[key] for line in ours)
    same = {key: ours[0][key] for key in ("family", "model", "mode", "threads", "batch")}
    return [best] + [{**same, "peer": peer.name, **peer.record()} for peer in peers]


def print_table(records, options):
    height, width = options.grid
    print(f"{records[0]['model']}, {options.mode}: {options.frames} frames, {options.fields} fields, "
          f"grid {height}x{width}, batch {options.batch}, synthetic weights")
    print(f"{options.threads} threads of {processor()}; medians of {options.rounds} rounds of {options.repeat} calls")
    print(f"{'':<30}{'median ms':>10}{'peer/ours':>11}{'peak MiB':>10}{'share of peak':>15}")
    for record in records:
        if "left_out" in record:
            print(f"{record['peer']:<30} left out: {record['left_out']}")
            continue
        share = f"{record['share_of_peak']:>15.0%}" if "share_of_peak" in record else ""
        print(f"{record['system']:<30}{1e3 * record['median_s']:>10.2f}{record['ratio']:>11.2f}"
              f"{record['peak_rss_mib']:>10.0f}{share}")


def processor():
    with open("/proc/cpuinfo") as info:
        names = (line.split(":")[1].strip() for line in info if line.startswith("model name"))
        return next(names, "this machine")


def note(text):
    print(text, file=sys.stderr, flush=True)


def main():
    options, family = parse()
    if options.worker:
        return serve(options.worker, family, options)

    # Inherited by everyone. XLA's thread pool has no option for its size but obeys the CPU set.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    os.environ.update(CUDA_VISIBLE_DEVICES="", JAX_PLATFORMS="cpu")

    records = compare(family, options)
    if options.json:
        for record in records:
            print(json.dumps(record))
    else:
        print_table(records, options)


if __name__ == "__main__":
    main()
