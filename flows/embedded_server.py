"""`python -m flows.embedded_server FOLDER`: a Prefect server on a free local port, for one run.

Prints its API url when it answers, and ends when stdin closes.
"""

import asyncio
import os
import shutil
import socket
import sys
import threading


def main() -> None:
    """Serves until stdin closes, then removes the folder."""
    home = sys.argv[1]
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]  # settings of another server: its database, its password
    os.environ["PREFECT_HOME"] = home
    os.environ["PREFECT_API_URL"] = url
    os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{home}/prefect.db"
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ["PREFECT_LOGGING_SERVER_LEVEL"] = "ERROR"
    threading.Thread(target=_end_with_stdin, args=(home,), daemon=True).start()
    asyncio.run(_serve(listener, url))


async def _serve(listener: socket.socket, url: str) -> None:
    import uvicorn
    from prefect.server.api.server import create_app

    server = uvicorn.Server(uvicorn.Config(create_app(), log_level="error", lifespan="on", ws="auto"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.05)
    print(url, flush=True)
    await serving


def _end_with_stdin(home: str) -> None:
    sys.stdin.read()
    shutil.rmtree(home, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
