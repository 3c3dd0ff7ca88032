"""aioquic as a peer, in both roles, speaking what tests/interop/exchange.ts says.

Prints JSON, one object a line: the server {"type":"ready","port":N}, the client {"type":"done","echo":"ok","exchange":"ok"}.
Ends by itself after --seconds at the latest.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys

EXCHANGE_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
HASH_BYTES = 32


def say(**fields):
    print(json.dumps(fields), flush=True)


async def write_random(writer):
    digest = hashlib.sha256()
    for _ in range(EXCHANGE_BYTES // CHUNK_BYTES):
        chunk = os.urandom(CHUNK_BYTES)
        digest.update(chunk)
        writer.write(chunk)
        # The writer queues without bound: a turn of the loop lets packets go out and come in between.
        await asyncio.sleep(0)
    return digest.digest()


async def read_to_end(reader):
    parts = []
    while part := await reader.read(CHUNK_BYTES):
        parts.append(part)
    return b"".join(parts)


async def serve_stream(reader, writer):
    kind = await reader.readexactly(1)
    if kind == b"E":
        writer.write(await read_to_end(reader))
    else:
        sent, received = await asyncio.gather(write_random(writer), read_to_end(reader))
        writer.write(sent + hashlib.sha256(received).digest())
    writer.write_eof()


async def echo(connection):
    reader, writer = await connection.create_stream()
    writer.write(b"E" + b"echo of aioquic")
    writer.write_eof()
    return await read_to_end(reader) == b"echo of aioquic"


async def exchange(connection):
    reader, writer = await connection.create_stream()
    writer.write(b"X")

    async def send():
        digest = await write_random(writer)
        writer.write_eof()
        return digest

    sent, received = await asyncio.gather(send(), read_to_end(reader))
    body, trailer = received[: -2 * HASH_BYTES], received[-2 * HASH_BYTES :]
    return len(body) == EXCHANGE_BYTES and trailer == hashlib.sha256(body).digest() + sent


async def run_server(options):
    from aioquic.asyncio import serve

    tasks = set()

    def on_stream(reader, writer):
        task = asyncio.create_task(serve_stream(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    configuration = make_configuration(options, is_client=False)
    configuration.load_cert_chain(options.cert, options.key)
    server = await serve("127.0.0.1", 0, configuration=configuration, stream_handler=on_stream, retry=options.retry)
    say(type="ready", port=server._transport.get_extra_info("sockname")[1])
    await asyncio.sleep(options.seconds)


async def run_client(options):
    from aioquic.asyncio.protocol import QuicConnectionProtocol
    from aioquic.quic.connection import QuicConnection

    configuration = make_configuration(options, is_client=True)
    configuration.server_name = "localhost"
    # The one certificate it trusts: a pin, as far as this peer has one.
    configuration.load_verify_locations(cafile=options.cert)
    # Its own connect() opens a dual-stack socket, which a machine without IPv6 refuses.
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_datagram_endpoint(
        lambda: QuicConnectionProtocol(QuicConnection(configuration=configuration)), local_addr=("127.0.0.1", 0)
    )
    connection.connect(("127.0.0.1", options.port))
    await connection.wait_connected()
    result = {"echo": "ok" if await echo(connection) else "wrong"}
    if options.key_update:
        connection.request_key_update()
    if options.exchange:
        result["exchange"] = "ok" if await exchange(connection) else "wrong"
    connection.close()
    await connection.wait_closed()
    transport.close()
    say(type="done", **result)


def make_configuration(options, is_client):
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.packet import QuicProtocolVersion

    return QuicConfiguration(
        is_client=is_client,
        alpn_protocols=[options.alpn],
        max_datagram_size=1200,
        supported_versions=[QuicProtocolVersion.VERSION_2, QuicProtocolVersion.VERSION_1]
        if options.version_2
        else [QuicProtocolVersion.VERSION_1],
        original_version=QuicProtocolVersion.VERSION_2 if options.version_2 else None,
        idle_timeout=20,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["server", "client"])
    parser.add_argument("--packages", help="folder that holds aioquic")
    parser.add_argument("--alpn", default="q2q")
    parser.add_argument("--cert", required=True, help="PEM file: the server's own, or the one the client trusts")
    parser.add_argument("--key", help="PEM file")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--exchange", action="store_true")
    parser.add_argument("--key-update", action="store_true", help="client: change keys between echo and exchange")
    parser.add_argument("--version-2", action="store_true", help="client: begin with QUIC version 2")
    parser.add_argument("--retry", action="store_true", help="server: validate addresses by Retry")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    if options.packages:
        sys.path.insert(0, options.packages)
    run = run_server if options.role == "server" else run_client
    try:
        asyncio.run(asyncio.wait_for(run(options), options.seconds + 1))
    except Exception as error:
        say(type="error", error=f"{type(error).__name__}: {error}")
        sys.exit(1)


main()
