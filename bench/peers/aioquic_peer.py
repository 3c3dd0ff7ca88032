"""One stream with aioquic, for bench/throughput.ts: JSON, one object a line, as bench/support/roles.ts says.

    aioquic_peer.py receive --packages DIR --cert F --key F
    aioquic_peer.py send --packages DIR --cert F --port PORT --mebibytes N

Straight on its protocol class, without the asyncio streams on top, which would cost it a copy more.
"""

import argparse
import asyncio
import json
import os
import sys
import time

DATAGRAM_BYTES = 1200
# Queued and not yet acknowledged: enough to be never the limit, and little to move.
BACKLOG_BYTES = 1024 * 1024
CHUNK_BYTES = 256 * 1024
CIPHERS = ("CHACHA20_POLY1305_SHA256", "AES_128_GCM_SHA256", "AES_256_GCM_SHA384")


def say(**fields):
    print(json.dumps(fields), flush=True)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["receive", "send"])
    parser.add_argument("--packages", required=True)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mebibytes", type=int, default=32)
    parser.add_argument("--cipher", choices=CIPHERS, default="AES_128_GCM_SHA256")
    parser.add_argument("--seconds", type=int, default=120)
    return parser.parse_args()


options = parse()
sys.path.insert(0, options.packages)

from aioquic.asyncio import connect, serve  # noqa: E402
from aioquic.asyncio.protocol import QuicConnectionProtocol  # noqa: E402
from aioquic.quic.configuration import QuicConfiguration  # noqa: E402
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived  # noqa: E402
from aioquic.tls import CipherSuite  # noqa: E402


def configuration(is_client):
    return QuicConfiguration(
        is_client=is_client,
        alpn_protocols=["bench"],
        cipher_suites=[CipherSuite[options.cipher]],
        max_datagram_size=DATAGRAM_BYTES,
    )


class Receiver(QuicConnectionProtocol):
    finished = None
    received = 0
    begun = 0.0

    def quic_event_received(self, event):
        if not isinstance(event, StreamDataReceived):
            return
        if self.received == 0:
            self.begun = time.monotonic()
        self.received += len(event.data)
        if event.end_stream:
            say(type="done", bytes=self.received, seconds=time.monotonic() - self.begun, cpuSeconds=time.process_time())
            self.close()
            Receiver.finished.set()


class Sender(QuicConnectionProtocol):
    ended = None
    stream_id = None
    left = 0
    chunk = b""

    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        self.fill()

    def fill(self):
        if self.stream_id is None or self.left == 0:
            return
        stream = self._quic._streams[self.stream_id].sender
        is_filled = False
        while self.left > 0 and stream._buffer_stop - stream._buffer_start < BACKLOG_BYTES:
            size = min(self.left, CHUNK_BYTES)
            self.left -= size
            self._quic.send_stream_data(self.stream_id, self.chunk[:size], self.left == 0)
            is_filled = True
        if is_filled:
            self.transmit()

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            Sender.ended.set()


async def receive():
    Receiver.finished = asyncio.Event()
    config = configuration(False)
    config.load_cert_chain(options.cert, options.key)
    server = await serve("127.0.0.1", 0, configuration=config, create_protocol=Receiver)
    say(type="ready", port=server._transport.get_extra_info("sockname")[1])
    await Receiver.finished.wait()
    await asyncio.sleep(0.2)
    server.close()


async def send():
    Sender.ended = asyncio.Event()
    config = configuration(True)
    config.load_verify_locations(options.cert)
    config.server_name = "localhost"
    async with connect("127.0.0.1", options.port, configuration=config, create_protocol=Sender) as protocol:
        protocol.chunk = os.urandom(CHUNK_BYTES)
        protocol.left = options.mebibytes * 2**20
        protocol.stream_id = protocol._quic.get_next_available_stream_id()
        protocol._quic.send_stream_data(protocol.stream_id, b"")
        protocol.fill()
        await Sender.ended.wait()
    say(type="done", cpuSeconds=time.process_time())


asyncio.run(asyncio.wait_for(receive() if options.role == "receive" else send(), options.seconds))
