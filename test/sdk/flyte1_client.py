"""Drives Flyte 1's SDK as flyte2_client.py drives Flyte 2's. The first line has the arguments of its PlatformConfig."""

import json
import sys
import webbrowser

from flyteidl.service.identity_pb2 import UserInfoRequest
from flyteidl.service.identity_pb2_grpc import IdentityServiceStub
from flytekit.clients.friendly import SynchronousFlyteClient
from flytekit.configuration import AuthType, PlatformConfig


class SaysTheAddress(webbrowser.BaseBrowser):
    def open(self, url, new=0, autoraise=True):
        say({"open": url})
        return True


def say(fact):
    print(json.dumps(fact), flush=True)


def whoami(client):
    # flytekit has no call of its own for it; the channel is the one that signs in.
    user = IdentityServiceStub(client._channel).UserInfo(UserInfoRequest())
    return {"subject": user.subject, "name": user.name}


def projects(client):
    return [project.id for project in client.list_projects_paginated(limit=100)[0]]


def answer(call):
    try:
        return {"result": {"whoami": whoami, "projects": projects}[call](client)}
    except Exception as error:
        return {"error": type(error).__name__, "code": None, "message": str(error)}


webbrowser.register("says-the-address", None, SaysTheAddress(), preferred=True)
settings = json.loads(sys.stdin.readline())
client = SynchronousFlyteClient(PlatformConfig(**{**settings, "auth_mode": AuthType[settings["auth_mode"]]}))
for line in sys.stdin:
    say(answer(json.loads(line)["call"]))
