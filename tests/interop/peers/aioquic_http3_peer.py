"""aioquic as an HTTP/3 peer, in both roles, asking for and serving what tests/interop/http3_socket.ts says.

Prints JSON, one object a line: the server {"type":"ready","port":N}, the client {"type":"done", ...} with what it saw.
Ends by itself after --seconds at the latest.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys

UPLOAD_BYTES = 1024 * 1024
AUTHORITY = b"localhost"


def say(**fields):
    print(json.dumps(fields), flush=True)


def make_protocol():
    from aioquic.asyncio.protocol import QuicConnectionProtocol
    from aioquic.h3 import events as h3_events
    from aioquic.h3.connection import H3Connection
    from aioquic.quic.events import ProtocolNegotiated

    class Http3Protocol(QuicConnectionProtocol):
        """Hands each HTTP/3 event to on_event(stream_id, event)."""

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.http = None
            self.streams = {}

        def quic_event_received(self, event):
            if isinstance(event, ProtocolNegotiated):
                # The flag brings SETTINGS_H3_DATAGRAM with it.
                self.http = H3Connection(self._quic, enable_webtransport=True)
            if self.http is None:
                return
            for h3_event in self.http.handle_event(event):
                self.on_event(h3_event)
            self.transmit()

        def on_event(self, event):
            raise NotImplementedError

    class Server(Http3Protocol):
        def on_event(self, event):
            stream_id = event.stream_id
            if isinstance(event, h3_events.HeadersReceived):
                request = dict(event.headers)
                if b":method" not in request:
                    return  # trailers
                self.streams[stream_id] = request
                self.begin(stream_id, request)
            if isinstance(event, h3_events.DataReceived):
                request = self.streams[stream_id]
                if request[b":method"] in (b"POST", b"CONNECT"):
                    self.http.send_data(stream_id, event.data, event.stream_ended)
            elif isinstance(event, h3_events.DatagramReceived):
                self.http.send_datagram(stream_id, event.data)
            elif event.stream_ended and self.streams[stream_id][b":method"] == b"POST":
                self.http.send_data(stream_id, b"", True)

        def begin(self, stream_id, request):
            path = request.get(b":path", b"")
            headers = [(b":status", b"200"), (b"server", b"aioquic"), (b"x-saw", path)]
            if request[b":method"] != b"GET":
                self.http.send_headers(stream_id, headers)
            elif path.startswith(b"/bytes/"):
                size = int(path[7:])
                self.http.send_headers(stream_id, headers + [(b"content-length", b"%d" % size)])
                self.http.send_data(stream_id, bytes(i & 0xFF for i in range(size)), True)
            else:
                self.http.send_headers(stream_id, [(b":status", b"404")], end_stream=True)

    class Client(Http3Protocol):
        async def exchange(self, headers, body=None, datagrams=()):
            """Sends a request; returns headers, content and datagrams of the answer."""
            stream_id = self._quic.get_next_available_stream_id()
            state = {"headers": {}, "content": bytearray(), "datagrams": [], "trailers": False}
            state["wanted"] = len(datagrams)
            state["done"] = asyncio.get_running_loop().create_future()
            state["tunnel"] = bool(datagrams)
            self.streams[stream_id] = state
            self.http.send_headers(stream_id, headers, end_stream=body is None)
            if body is not None:
                self.http.send_data(stream_id, body, not datagrams)
            for datagram in datagrams:
                self.http.send_datagram(stream_id, datagram)
            self.transmit()
            await asyncio.wait_for(state["done"], 20)
            if datagrams:
                self.http.send_data(stream_id, b"", True)
                self.transmit()
            return state

        def on_event(self, event):
            state = self.streams.get(event.stream_id)
            if state is None:
                return
            if isinstance(event, h3_events.HeadersReceived):
                state["headers"].update(event.headers)
            elif isinstance(event, h3_events.DataReceived):
                state["content"] += event.data
            elif isinstance(event, h3_events.DatagramReceived):
                state["datagrams"].append(event.data)
            if state["tunnel"]:
                is_done = len(state["datagrams"]) >= state["wanted"] and len(state["content"]) >= 4
            else:
                is_done = getattr(event, "stream_ended", False)
            if is_done and not state["done"].done():
                state["done"].set_result(None)

    return Server, Client


async def run_server(options):
    from aioquic.asyncio import serve

    server_class, _ = make_protocol()
    configuration = make_configuration(is_client=False)
    configuration.load_cert_chain(options.cert, options.key)
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=server_class)
    say(type="ready", port=server._transport.get_extra_info("sockname")[1])
    await asyncio.sleep(options.seconds)


def request(method, path, *more):
    return [
        (b":method", method),
        (b":scheme", b"https"),
        (b":authority", AUTHORITY),
        (b":path", path),
        *more,
    ]


async def run_client(options):
    from aioquic.quic.connection import QuicConnection

    _, client_class = make_protocol()
    configuration = make_configuration(is_client=True)
    configuration.server_name = "localhost"
    configuration.load_verify_locations(cafile=options.cert)
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(
        lambda: client_class(QuicConnection(configuration=configuration)), local_addr=("127.0.0.1", 0)
    )
    client.connect(("127.0.0.1", options.port))
    await client.wait_connected()
    result = {}

    got = await client.exchange(request(b"GET", b"/bytes/100000"))
    expected = bytes(i & 0xFF for i in range(100000))
    result["get"] = "ok" if bytes(got["content"]) == expected else "wrong"
    result["status"] = got["headers"][b":status"].decode()

    got = await client.exchange(request(b"GET", b"/nothing"))
    result["missing"] = got["headers"][b":status"].decode()

    body = os.urandom(UPLOAD_BYTES)
    got = await client.exchange(request(b"POST", b"/echo", (b"content-length", b"%d" % len(body))), body)
    same = hashlib.sha256(got["content"]).digest() == hashlib.sha256(body).digest()
    result["post"] = "ok" if same else "wrong"

    if options.rounds:
        for index in range(options.rounds):
            # Fields that differ and repeat: what a dynamic table would be used for.
            more = [(b"x-round", b"%d" % (index % 7)), (b"x-same", b"the same value every time")]
            got = await client.exchange(request(b"GET", b"/bytes/10", *more))
            if bytes(got["content"]) != expected[:10]:
                raise ValueError("a round went wrong")
        result["rounds"] = options.rounds

    tunnel = request(b"CONNECT", b"/tunnel", (b":protocol", b"connect-udp"), (b"capsule-protocol", b"?1"))
    # Pseudo-header fields come first.
    tunnel.sort(key=lambda field: not field[0].startswith(b":"))
    datagrams = [b"\x00one", b"\x00two", b""]
    got = await client.exchange(tunnel, b"ping", datagrams)
    result["tunnel"] = bytes(got["content"]).decode()
    result["datagrams"] = sorted(datagram.hex() for datagram in got["datagrams"])

    client.close()
    await client.wait_closed()
    transport.close()
    say(type="done", **result)


def make_configuration(is_client):
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.packet import QuicProtocolVersion

    return QuicConfiguration(
        is_client=is_client,
        alpn_protocols=["h3"],
        max_datagram_frame_size=65536,
        max_datagram_size=1200,
        supported_versions=[QuicProtocolVersion.VERSION_1],
        idle_timeout=20,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["server", "client"])
    parser.add_argument("--packages", help="folder that holds aioquic")
    parser.add_argument("--cert", required=True, help="PEM file: the server's own, or the one the client trusts")
    parser.add_argument("--key", help="PEM file")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=0, help="client: so many requests one after the other")
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
