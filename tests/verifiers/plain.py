#!/usr/bin/env python3
"""The verifier that one writes in an afternoon: sequence and links of a folder of segments, and no more. It is what the benchmark
(tests/bench/ledger.py) compares with. It trusts its JSON reader with everything that FORMAT.md is strict about.

    plain.py [--orjson] FOLDER
"""
import gzip
import hashlib
import os
import sys


def main(folder, loads):
    for stream in sorted(os.listdir(folder)):
        following, head = None, "0" * 64
        for name in sorted(os.listdir(os.path.join(folder, stream))):
            path = os.path.join(folder, stream, name)
            with open(path, "rb") as file:
                compressed = file.read(2) == b"\x1f\x8b"
            with gzip.open(path) if compressed else open(path, "rb") as file:
                for line in file:
                    line = line[:-1]
                    entry = loads(line)
                    if entry["stream"] != stream or following not in (None, entry["seq"]) or entry["prev"] != head:
                        sys.exit(f"{path}: sequence {entry['seq']} does not follow")
                    following, head = entry["seq"] + 1, hashlib.sha256(line).hexdigest()
        print(f"{stream}: through {following - 1}, head {head}")


if __name__ == "__main__":
    if sys.argv[1] == "--orjson":
        import orjson

        main(sys.argv[2], orjson.loads)
    else:
        import json

        main(sys.argv[1], json.loads)
