#!/usr/bin/env python3
"""A second verifier for a ledger, written from functions/ledger/FORMAT.md and from nothing else.

Python 3.10 or newer, no package; for Zstandard the program `zstd`. Clear rather than fast: it reads whole objects, and keeps every
entry of a `firehose` ledger in memory. Exit codes: 0 proven, 1 broken, 2 unproven, 64 wrong usage, 66 nothing to read.
"""
import argparse
import hashlib
import json
import math
import re
import shutil
import subprocess
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path

ZEROS = "0" * 64
DEPTH_MAX = 127
SEQ_MAX = 2**64 - 2
EPOCH_MAX = 2**64 - 1
BODIES = {"seal": {"epoch", "run"}, "open": {"epoch", "holder", "run"}}


class Fault(Exception):
    """What is wrong, in words."""


@dataclass
class Entry:
    stream: str
    seq: int
    prev: str | None
    epoch: int | None
    control: dict | None
    hash: str
    at: tuple = ("", 0)  # object, offset


# --- the line


def integer(text):
    """Digits alone are an integer; anything else that JSON calls a number is only looked at for its size."""
    return int(text) if text.isdigit() and len(text) <= 20 else finite(text)


def finite(text):
    if math.isinf(float(text)):
        raise Fault(f"the number {text[:40]} is beyond the largest double")
    return float(text)


def unique(pairs):
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Fault("a key occurs twice")
    return fields


def refuse(name):
    raise Fault(f"{name} is no JSON")


def depth(text):
    deepest = level = 0
    for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)):
        level += 1 if bracket in "[{" else -1
        deepest = max(deepest, level)
    return deepest


def is_integer(value, most):
    return type(value) is int and value <= most


def control_of(value):
    kind, body = next(iter(value.items())) if type(value) is dict and len(value) == 1 else (None, None)
    if kind not in BODIES or type(body) is not dict or body.keys() != BODIES[kind]:
        raise Fault("neither a seal nor an open, as the format has them")
    if not is_integer(body["epoch"], EPOCH_MAX) or type(body["run"]) is not str:
        raise Fault("a control entry with an ill-typed epoch or run")
    if kind == "open" and body["holder"] not in ("primary", "recovery"):
        raise Fault("the holder is neither primary nor recovery")
    return {"kind": kind, **body}


def parse(line, names):
    try:
        text = line.decode("utf-8")
        if line.count(b"[") + line.count(b"{") > DEPTH_MAX and depth(text) > DEPTH_MAX:
            raise Fault(f"nested more than {DEPTH_MAX} deep")
        fields = json.loads(
            text, object_pairs_hook=unique, parse_int=integer, parse_float=finite, parse_constant=refuse
        )
        if "\\u" in text:
            json.dumps(fields, ensure_ascii=False).encode("utf-8")  # fails on half a surrogate pair
    except ValueError as error:
        raise Fault(f"no JSON in UTF-8: {error}") from error
    if type(fields) is not dict:
        raise Fault("not an object")

    stream, seq = fields.get(names["stream"]), fields.get(names["seq"])
    prev = fields.get(names["prev"]) if names["prev"] else None
    if type(stream) is not str:
        raise Fault(f"`{names['stream']}` is missing or no string")
    if not is_integer(seq, SEQ_MAX):
        raise Fault(f"`{names['seq']}` is missing or no integer in range")
    if names["prev"] and not (type(prev) is str and re.fullmatch("[0-9a-f]{64}", prev)):
        raise Fault(f"`{names['prev']}` is missing or not 64 lower-case hexadecimal digits")
    epoch = control = None
    if names["epoch"] in fields:
        epoch = fields[names["epoch"]]
        if not is_integer(epoch, EPOCH_MAX):
            raise Fault(f"`{names['epoch']}` is no integer in range")
    if names["control"] in fields:
        control = control_of(fields[names["control"]])
        if epoch is not None:
            raise Fault("a control entry with an epoch beside it")
    return Entry(stream, seq, prev, epoch, control, hashlib.sha256(line).hexdigest())


# --- the object


def decoded(data):
    if data[:2] == b"\x1f\x8b":
        out = []
        while data:
            member = zlib.decompressobj(wbits=31)
            try:
                out.append(member.decompress(data))
            except zlib.error as error:
                raise Fault(f"damaged gzip: {error}") from error
            if not member.eof:
                raise Fault("gzip that is cut off")
            data = member.unused_data
        return b"".join(out)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        if not shutil.which("zstd"):
            raise OSError("it is Zstandard, and there is no program `zstd` here")
        run = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False)
        if run.returncode:
            raise Fault(f"damaged Zstandard: {run.stderr.decode().strip()}")
        return run.stdout
    return data


def lines(data, bytes_max):
    """Each line with its offset, and a fault with it where it can be no entry."""
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        if end < 0:
            yield at, None, "the last line has no line feed: it is cut off"
            return
        too_long = end - at > bytes_max
        yield at, data[at:end], f"a line of {end - at} bytes" if too_long else None
        at = end + 1


# --- the chain


@dataclass
class Chain:
    """One stream, entry by entry in the order of sequences."""

    first: int | None = None
    through: int | None = None
    head: str = ZEROS
    newest_epoch: int = 0
    pen: dict = field(default_factory=lambda: {"kind": "unopened"})
    is_witness: bool = False  # of a `firehose` ledger: control entries need not be in it

    def take(self, entry, linked):
        if linked and self.head is not None and entry.prev != self.head:
            raise Fault(f"`prev` is {entry.prev}, but the hash before it is {self.head}")
        if self.pen["kind"] == "unknown":
            pass
        elif entry.control:
            self.control(entry.control)
        elif self.is_witness and self.pen["kind"] == "unopened":
            pass
        elif entry.epoch != self.entitled():
            raise Fault(f"written under epoch {entry.epoch} while the pen is {self.pen}")
        self.first = entry.seq if self.first is None else self.first
        self.through, self.head = entry.seq, entry.hash

    def lose(self):
        """What follows could not be read: nothing behind it is joined to what was before."""
        self.through, self.head, self.pen = None, None, {"kind": "unknown"}

    def control(self, control):
        own_seal = control["kind"] == "open" and self.pen == {
            "kind": "seal", "epoch": control["epoch"], "run": control["run"]
        }
        if control["epoch"] > self.newest_epoch or own_seal:
            self.newest_epoch, self.pen = control["epoch"], control

    def entitled(self):
        """The epoch that an entry has to carry now."""
        return {"unopened": None, "open": self.pen.get("epoch"), "seal": "nobody's"}[self.pen["kind"]]


class Ledger:
    """What was read of a folder, and what stands against it."""

    def __init__(self, options):
        self.options, self.chains, self.findings, self.repeated = options, {}, [], 0
        self.linked = options.names["prev"] is not None
        self.unread = False

    def found(self, verdict, what, stream="", seq=None, at=(None, None)):
        finding = {"verdict": verdict, "stream": stream, "seq": seq, "object": at[0], "offset": at[1], "what": what}
        self.findings.append(finding)

    def read(self, path, stream="", slot=None):
        """The object's lines, or `None` after a finding: what cannot be read is not broken, but nothing is proven of it."""
        try:
            return list(lines(decoded(path.read_bytes()), self.options.entry_bytes_max))
        except OSError as error:
            self.found("Unproven", f"could not be read: {error}", stream, slot, (str(path), 0))
            self.unread = True
        except Fault as fault:
            self.found("Broken", str(fault), stream, slot, (str(path), 0))
        return None

    def segments(self, root):
        slots = {}
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            name = path.relative_to(root).as_posix()
            slot = re.fullmatch(r"([^/]+)/([0-9]{20})\.ndjson", name)
            if slot and int(slot[2]) < 2**64:
                slots.setdefault(slot[1], []).append((int(slot[2]), path))
            else:
                self.found("Broken", "an object that is no slot", name.partition("/")[0], at=(name, 0))
        for stream, objects in slots.items():
            chain = self.chains.setdefault(stream, Chain())
            for slot, path in objects:
                if not self.segment(stream, chain, slot, path):
                    break

    def segment(self, stream, chain, slot, path):
        """Whether the chain goes on behind it."""
        due = slot if chain.through is None else chain.through + 1
        at = (str(path), 0)
        if slot > due:
            self.found("Broken", f"entries {due} to {slot - 1} are missing", stream, due, at)
            return False
        if slot < due:
            self.found("Broken", f"it begins inside another, which reaches {due - 1}", stream, slot, at)
            return False
        read = self.read(path, stream, slot)
        if read is None:
            # `Broken` outranks `Unproven`: what lies behind is looked at as well.
            chain.lose()
            return self.findings[-1]["verdict"] == "Unproven"
        if not read:
            self.found("Broken", "the object is empty", stream, slot, at)
            return False
        for offset, line, fault in read:
            try:
                if fault:
                    raise Fault(fault)
                entry = parse(line, self.options.names)
                if (entry.stream, entry.seq) != (stream, due):
                    raise Fault(f"{entry.stream} {entry.seq} stands where {stream} {due} comes next")
                chain.take(entry, self.linked)
            except Fault as fault:
                self.found("Broken", str(fault), stream, due, (str(path), offset))
                return False
            due += 1
        return True

    def firehose(self, root):
        streams = {}
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            for offset, line, fault in self.read(path) or ():
                try:
                    if fault:
                        raise Fault(fault)
                    entry = parse(line, self.options.names)
                except Fault as fault:
                    self.found("Broken", str(fault), at=(str(path), offset))
                    continue
                entry.at = (str(path), offset)
                same = streams.setdefault(entry.stream, {}).setdefault(entry.seq, {})
                self.repeated += entry.hash in same
                same.setdefault(entry.hash, entry)
        for stream, entries in streams.items():
            chain = self.chains.setdefault(stream, Chain(is_witness=True))
            for seq in sorted(entries):
                entry, *others = entries[seq].values()
                due = seq if chain.through is None else chain.through + 1
                begins = chain.through is None and self.linked and entry.prev != ZEROS
                if seq > due or begins:
                    # What is missing may lie in an object that could not be read.
                    verdict = "Unproven" if self.unread else "Broken"
                    what = "entries before it" if begins else f"entries {due} to {seq - 1}"
                    self.found(verdict, f"{what} are missing", stream, due, entry.at)
                    break
                try:
                    if others:
                        raise Fault(f"a fork: {len(entries[seq])} entries of this sequence")
                    chain.take(entry, self.linked)
                except Fault as fault:
                    self.found("Broken", str(fault), stream, seq, entry.at)
                    break

    def judge(self):
        for stream in [*self.options.stream, *self.options.watermark]:
            self.chains.setdefault(stream, Chain())
        for stream, chain in self.chains.items():
            if any(finding["stream"] == stream for finding in self.findings):
                continue
            watermark = self.options.watermark.get(stream)
            if chain.through is None:
                self.found("Broken" if watermark else "Unproven", "no entries at all", stream)
            elif watermark is not None and watermark > chain.through:
                missing = chain.through + 1
                self.found("Broken", f"{watermark} was acknowledged, and the stream ends before", stream, missing)
            elif watermark is None and chain.pen["kind"] != "seal":
                self.found("Unproven", "neither a seal nor a watermark says that this is its end", stream)
        self.findings.sort(key=lambda f: (f["verdict"] != "Broken", f["stream"], f["seq"] or 0))
        return self.findings[0]["verdict"] if self.findings else "Proven"


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.error = lambda message: (parser.print_usage(sys.stderr), print(message, file=sys.stderr), sys.exit(64))
    parser.add_argument("path", type=Path)
    parser.add_argument("--layout", choices=["segments", "firehose"], default="segments")
    parser.add_argument("--watermark", action="append", default=[], metavar="STREAM=SEQ")
    parser.add_argument("--stream", action="append", default=[], help="a stream that has to be there")
    parser.add_argument("--field", action="append", default=[], metavar="seq=NAME")
    parser.add_argument("--no-prev", action="store_true")
    parser.add_argument("--no-control", action="store_true", help="neither epochs nor control entries")
    parser.add_argument("--entry-bytes-max", type=int, default=65_536)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    chosen.names = {name: name for name in ("stream", "seq", "prev", "epoch", "control")}
    try:
        for text in chosen.field:
            name, new = text.split("=", 1)
            if name not in chosen.names:
                raise ValueError(f"{name} is no field of the format")
            chosen.names[name] = new
        chosen.watermark = {stream: int(seq) for stream, seq in (text.rsplit("=", 1) for text in chosen.watermark)}
        chosen.names.update({"prev": None} if chosen.no_prev else {})
        chosen.names.update({"epoch": None, "control": None} if chosen.no_control else {})
        names = [name for name in chosen.names.values() if name is not None]
        if "" in names or len(set(names)) < len(names):
            raise ValueError("a field's name is empty, or two fields have one name")
    except ValueError as error:
        parser.error(str(error))
    return chosen


def main():
    chosen = options()
    if not chosen.path.is_dir() or not any(path.is_file() for path in chosen.path.rglob("*")):
        print(f"{chosen.path}: no folder with files in it", file=sys.stderr)
        return 66
    ledger = Ledger(chosen)
    getattr(ledger, chosen.layout)(chosen.path)
    verdict = ledger.judge()
    streams = [
        {"stream": stream, "first_seq": chain.first, "through": chain.through, "head": chain.head, "pen": chain.pen}
        for stream, chain in sorted(ledger.chains.items())
        if not any(finding["stream"] == stream for finding in ledger.findings)
    ]
    if chosen.json:
        answer = {"verdict": verdict, "streams": streams, "linked": ledger.linked, "findings": ledger.findings, "repeated": ledger.repeated}
        json.dump(answer, sys.stdout, indent=2)
        print()
    else:
        for stream in streams:
            print("{stream}: {first_seq} to {through}, head {head}, pen {pen}".format(**stream))
        for finding in ledger.findings:
            print("{verdict}: stream {stream!r}, sequence {seq}, {object} at {offset}: {what}".format(**finding))
        print(verdict if ledger.linked else f"{verdict}, of contiguity only: this ledger has no links")
    return {"Proven": 0, "Broken": 1, "Unproven": 2}[verdict]


if __name__ == "__main__":
    sys.exit(main())
