"""aioice as a peer, in both roles, on 127.0.0.1.

Prints {"type":"local","ufrag":...,"password":...,"port":N}, takes the like as one JSON line on stdin, runs the checks, prints
{"type":"connected","remote":"127.0.0.1:N"} and returns every datagram until --seconds are over or stdin ends.
"""

import argparse
import asyncio
import json
import sys


def say(**fields):
    print(json.dumps(fields), flush=True)


async def run(options):
    import aioice
    import aioice.ice

    # It leaves loopback out, which is all a test may use.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    connection = aioice.Connection(ice_controlling=options.role == "controlling", use_ipv6=False)
    await connection.gather_candidates()
    say(
        type="local",
        ufrag=connection.local_username,
        password=connection.local_password,
        port=connection.local_candidates[0].port,
    )
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    remote = json.loads(await stdin.readline())
    connection.remote_username = remote["ufrag"]
    connection.remote_password = remote["password"]
    candidate = aioice.Candidate(
        foundation="1", component=1, transport="udp", priority=2130706431, host="127.0.0.1", port=remote["port"], type="host"
    )
    await connection.add_remote_candidate(candidate)
    await connection.add_remote_candidate(None)
    await connection.connect()
    say(type="connected")

    async def echo():
        while True:
            data = await connection.recv()
            say(type="received", text=data.decode())
            await connection.send(data)

    returned = asyncio.create_task(echo())
    if options.send:
        await connection.send(options.send.encode())
    await stdin.read()
    returned.cancel()
    await connection.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["controlling", "controlled"])
    parser.add_argument("--packages", help="folder that holds aioice")
    parser.add_argument("--send", help="a datagram to send once connected")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    if options.packages:
        sys.path.insert(0, options.packages)
    try:
        asyncio.run(asyncio.wait_for(run(options), options.seconds))
    except Exception as error:
        say(type="error", error=f"{type(error).__name__}: {error}")
        sys.exit(1)


main()
