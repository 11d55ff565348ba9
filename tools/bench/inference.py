#!/usr/bin/env python3
"""Variational inference against quadrature: `vocode flow vi` on its four energies, planar with 32 planes and IAF.

    tools/bench/inference.py [--program build/release/bin/vocode] [--seed N] [--threads N]

Prints a Markdown table; status 1 where a bound is more than 0.1 nats below the true log Z."""

import argparse
import re
import subprocess
import sys
import tempfile
import time

FLOWS = (["--flow", "planar:K=32"], ["--flow", "iaf", "--rate", "0.005", "--steps", "10000"])
LINE = (
    r"bound (\S+) \+- \S+ nats  log Z (\S+) \+- (\S+) from (\d+)% of \d+ draws  in truth (\S+)  KL (\S+)$"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default="build/release/bin/vocode")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--threads", default="2")
    given = parser.parse_args()
    good = True
    print("| energy | flow | log Z in truth | bound | importance sampling | effective draws | KL(q, p) | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for energy in ("U1", "U2", "U3", "U4"):
            for flow in FLOWS:
                command = [given.program, "flow", "vi", energy, f"{folder}/model", *flow]
                command += ["--seed", given.seed, "--threads", given.threads]
                start = time.monotonic()
                line = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                seconds = time.monotonic() - start
                bound, log_z, error, share, truth, divergence = re.search(LINE, line.strip()).groups()
                good = good and float(divergence) < 0.1
                cells = (energy, f"`{flow[1]}`", f"{float(truth):.3f}", f"{float(bound):.3f}")
                cells += (f"{float(log_z):.3f} ± {float(error):.3f}", share + " %", f"{float(divergence):.3f}")
                print("|", " | ".join(cells), f"| {seconds:.0f} |", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
