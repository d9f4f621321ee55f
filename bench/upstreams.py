"""The upstreams: a static one that costs next to nothing, and one that streams a chunk at a time."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from bench import clocks
from bench.processes import Running, module
from bench.subjects import MODEL, Subject, free_port

CHUNKS = 100
CHUNK_INTERVAL_S = 0.005
LARGE_BYTES = 100_000
_WORDS = (
    "Hello there, how may I assist you today? I am a mock response with a plausible length so that token counting "
    "does something."
)
_ASKED = "Hello, please tell me something about the ocean and its currents in two sentences."
_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
{user}
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 3600s;
    client_max_body_size 64m;
    client_body_buffer_size 512k;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/json;
{servers}
}}
"""
# A static file answers no POST; its refusal, turned into the file, does.
_STATIC = """
    server {{
        listen 127.0.0.1:{port}{ssl} backlog=4096;
        root {folder};
        open_file_cache max=16;
        error_page 405 =200 /{file};
        location = /v1/chat/completions {{ return 405; }}
    }}
"""
_TLS = "    ssl_certificate {folder}/cert.pem;\n    ssl_certificate_key {folder}/key.pem;\n"
_PROXY = """
    upstream to_{upstream} {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://to_{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering {buffering};
            proxy_buffers 8 128k;
            proxy_buffer_size 128k;
        }}
    }}
"""


def request_body(size_bytes: int = 0, *, stream: bool = False) -> str:
    """A chat request of a usual kind, its question made as long as it takes."""
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": _padded(_ASKED, size_bytes)},
        ],
        "temperature": 0.2,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body)


def _answer(size_bytes: int = 0) -> str:
    message = {"role": "assistant", "content": _padded(_WORDS, size_bytes)}
    return json.dumps({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50},
    })  # fmt: skip


def _padded(text: str, size_bytes: int) -> str:
    return (text + " ") * (size_bytes // (len(text) + 1)) or text


@dataclass(kw_only=True)
class Upstreams:
    """All of them, running."""

    static: Running
    streaming: Running
    small_port: int
    large_port: int
    tls_port: int
    stream_port: int
    ca: Path

    def stop(self) -> None:
        """End them."""
        self.static.stop()
        self.streaming.stop()


def nginx_command() -> str | None:
    """Where nginx is, on the path or where distributions put it."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def start(folder: Path) -> Upstreams:
    """Start both.

    Raises:
        CannotStart: one does not.
    """
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    issued = ca.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(folder / "cert.pem", append=number > 0)
    (folder / "small.json").write_text(_answer())
    (folder / "large.json").write_text(_answer(LARGE_BYTES))
    small, large, tls = free_port(), free_port(), free_port()
    servers = [
        _STATIC.format(port=small, ssl="", folder=folder, file="small.json"),
        _STATIC.format(port=large, ssl="", folder=folder, file="large.json"),
        _TLS.format(folder=folder) + _STATIC.format(port=tls, ssl=" ssl", folder=folder, file="small.json"),
    ]
    static = _nginx(folder, servers)
    static.until_it_answers(f"http://127.0.0.1:{small}/small.json")
    arguments = ("--interval", str(CHUNK_INTERVAL_S), "--chunks", str(CHUNKS))
    streaming = Running(module("bench.load.upstream", *arguments), folder)
    return Upstreams(
        static=static, streaming=streaming, small_port=small, large_port=large, tls_port=tls,
        stream_port=streaming.first_line()["port"], ca=folder / "ca.pem",
    )  # fmt: skip


def nginx_proxy(folder: Path, upstream_port: int, *, stream: bool = False) -> Subject:
    """Nginx with `proxy_pass`, one worker process."""
    folder.mkdir(parents=True)
    port = free_port()
    process = _nginx(folder, [_PROXY.format(port=port, upstream=upstream_port, buffering="off" if stream else "on")])
    process.until_it_answers(f"http://127.0.0.1:{port}/")
    return Subject(name="nginx", port=port, process=process, worker=tuple(clocks.descendants(process.pid)))


def _nginx(folder: Path, servers: list[str]) -> Running:
    user = "user root;" if os.geteuid() == 0 else ""
    path = folder / "nginx.conf"
    path.write_text(_NGINX.format(folder=folder, user=user, servers="".join(servers)))
    return Running([nginx_command() or "nginx", "-c", str(path), "-p", str(folder)], folder)
