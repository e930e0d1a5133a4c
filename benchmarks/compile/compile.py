#!/usr/bin/env python3
"""What a translation unit costs to compile: seconds of processor time and peak memory, and the code it becomes.

The units are taken from compile_commands.json of a build folder, with the flags of its preset and without ccache:

    benchmarks/compile/compile.py build/release                    # a unit for every model
    benchmarks/compile/compile.py build/release --match avit_b --max-seconds 30 --max-mib 2048
"""
import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile


def compile_command(entry, output):
    """The compiler's arguments of an entry of compile_commands.json, writing to `output`."""
    words = shlex.split(entry["command"])
    while os.path.basename(words[0]) in ("ccache", "sccache"):
        words.pop(0)
    words[words.index("-o") + 1] = output
    return words


def measure(entry):
    """Seconds, MiB and KiB of machine code of one unit."""
    with tempfile.NamedTemporaryFile(suffix=".o") as output:
        process = subprocess.Popen(compile_command(entry, output.name), cwd=entry["directory"])
        _, status, usage = os.wait4(process.pid, 0)  # times and memory of the compiler's own children are in it
        if status != 0:
            sys.exit(f"{entry['file']}: the compiler failed")
        sizes = subprocess.run(["size", output.name], capture_output=True, text=True, check=True).stdout
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, int(sizes.split("\n")[1].split()[0]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="a build folder with compile_commands.json")
    parser.add_argument("--match", default=r"benchmarks/step/avit_\w+\.cpp$", help="regular expression of the sources")
    parser.add_argument("--max-seconds", type=float, help="exit with 1 if a unit takes more processor time")
    parser.add_argument("--max-mib", type=float, help="exit with 1 if a unit takes more memory")
    options = parser.parse_args()

    path = os.path.join(options.build, "compile_commands.json")
    try:
        with open(path) as file:
            entries = [entry for entry in json.load(file) if re.search(options.match, entry["file"])]
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}; configure a preset first")
    if not entries:
        sys.exit(f"{path}: no source matches {options.match}")

    print(f"{'unit':44} {'seconds':>8} {'MiB':>8} {'code KiB':>9}")
    over = False
    for entry in entries:
        seconds, mib, code = measure(entry)
        too_long = options.max_seconds is not None and seconds > options.max_seconds
        too_much = too_long or (options.max_mib is not None and mib > options.max_mib)
        over = over or too_much
        name = os.path.relpath(entry["file"], os.path.join(os.path.dirname(__file__), "..", ".."))
        print(f"{name:44} {seconds:8.1f} {mib:8.0f} {code:9.0f}{'  above the budget' if too_much else ''}", flush=True)
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    main()
