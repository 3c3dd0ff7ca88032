"""aioquic_peer.py with client certificates: a client presents one, a server asks for one and verifies its signature.

    --client-cert FILE --client-key FILE    client: what it presents
    --ask                                   server: asks
"""

import argparse
import os
import runpy
import sys

parser = argparse.ArgumentParser(add_help=False)
parser.add_argument("--packages")
parser.add_argument("--client-cert")
parser.add_argument("--client-key")
parser.add_argument("--ask", action="store_true")
own, rest = parser.parse_known_args()
if own.packages:
    sys.path.insert(0, own.packages)

from aioquic import tls
from aioquic.quic.configuration import QuicConfiguration

if own.client_cert:
    trust = QuicConfiguration.load_verify_locations

    def trust_and_present(self, *args, **kwargs):
        trust(self, *args, **kwargs)
        self.load_cert_chain(own.client_cert, own.client_key)

    QuicConfiguration.load_verify_locations = trust_and_present

if own.ask:
    begin = tls.Context.__init__

    def begin_and_ask(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        # The only switch it has, and it says so: for tests.
        self._request_client_certificate = True

    tls.Context.__init__ = begin_and_ask

sys.argv = [sys.argv[0], *rest]
runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "aioquic_peer.py"), run_name="__main__")
