"""A service app as Flyte's users write them: FastAPI with Flyte's passthrough middleware, acting at Flyte for whoever calls it.

Arguments: the endpoint of Flyte. Says the port that it listens on.
"""

import os
import socket
import sys

import flyte
import flyte.remote as remote
import uvicorn
from fastapi import FastAPI, Request
from flyte.app.extras import FastAPIPassthroughAuthMiddleware

app = FastAPI()
app.add_middleware(FastAPIPassthroughAuthMiddleware, excluded_paths={"/healthz"})


@app.get("/healthz")
async def healthz():
    return {"status": "ok"}


@app.get("/me")
async def me(request: Request):
    user = await remote.User.get.aio()
    return {"app": "mine", "subject": user.subject(), "name": user.name(), "told": sorted(request.headers.keys())}


@app.get("/projects")
async def projects():
    return [project.pb2.id async for project in remote.Project.listall.aio()]


flyte.init(endpoint=sys.argv[1], auth_type="Passthrough", ca_cert_file_path=os.environ["CA_FILE"])
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
