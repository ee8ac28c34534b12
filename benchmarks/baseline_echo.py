"""Baseline: the same websocket library answering every CALL with a constant, and nothing else.

No compression, no JSON: the message id is cut from the text. What a durable answer costs beyond
this is ChargeHub's own.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol


async def answer(connection: ServerConnection) -> None:
    try:
        async for text in connection:
            assert isinstance(text, str)
            message_id = text.split('"', 2)[1]
            await connection.send(f'[3,"{message_id}",{{}}]')
    except ConnectionClosed:
        return


async def main(port: int) -> None:
    async with serve(
        answer,
        "127.0.0.1",
        port,
        subprotocols=[Subprotocol("ocpp1.6")],
        compression=None,
        backlog=4096,
    ) as server:
        print("listening", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    if "--uvloop" in sys.argv:
        uvloop.run(main(int(sys.argv[1])))
    else:
        asyncio.run(main(int(sys.argv[1])))
