"""Handshakes with aioquic, both ends in this process and nothing between them, for bench/handshake_rate.ts.

    aioquic_handshakes.py --packages DIR --cert F --key F --count N

One JSON line: how many, and the CPU time they took.
"""

import argparse
import json
import ssl
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--packages", required=True)
parser.add_argument("--cert", required=True)
parser.add_argument("--key", required=True)
parser.add_argument("--count", type=int, required=True)
options = parser.parse_args()
sys.path.insert(0, options.packages)

from aioquic.quic.configuration import QuicConfiguration  # noqa: E402
from aioquic.quic.connection import QuicConnection  # noqa: E402
from aioquic.quic.events import HandshakeCompleted  # noqa: E402

CLIENT, SERVER = ("192.0.2.1", 50000), ("192.0.2.2", 4433)
WARM = 50


def handshake(server_configuration):
    client = QuicConnection(
        configuration=QuicConfiguration(is_client=True, alpn_protocols=["bench"], verify_mode=ssl.CERT_NONE)
    )
    now = 0.0
    client.connect(SERVER, now=now)
    server = None
    done = set()
    for _ in range(20):
        moved = False
        for data, _ in client.datagrams_to_send(now=now):
            moved = True
            if server is None:
                # The Destination Connection ID of the client's first packet.
                server = QuicConnection(
                    configuration=server_configuration,
                    original_destination_connection_id=data[6 : 6 + data[5]],
                )
            server.receive_datagram(data, CLIENT, now=now)
        if server is not None:
            for data, _ in server.datagrams_to_send(now=now):
                moved = True
                client.receive_datagram(data, SERVER, now=now)
        for name, end in (("client", client), ("server", server)):
            event = end.next_event() if end is not None else None
            while event is not None:
                if isinstance(event, HandshakeCompleted):
                    done.add(name)
                event = end.next_event()
        if not moved:
            break
    if done != {"client", "server"}:
        raise SystemExit("The handshake did not end")


configuration = QuicConfiguration(is_client=False, alpn_protocols=["bench"])
configuration.load_cert_chain(options.cert, options.key)
for _ in range(WARM):
    handshake(configuration)
begun = time.process_time()
for _ in range(options.count):
    handshake(configuration)
print(json.dumps({"type": "done", "count": options.count, "cpuSeconds": time.process_time() - begun}))
