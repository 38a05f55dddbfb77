"""Drives Flyte 2's SDK by its public API, one call for each line of standard input, and says on standard output what came of it.

The first line has the arguments of flyte.init or, with FLYTE_API_KEY in the environment, of flyte.init_from_api_key; each other one
is {"call": name, "metadata": [[key, value], ...]}. Where the SDK opens a browser, the address is said instead.
"""

import json
import os
import sys
import webbrowser

import flyte
import flyte.remote as remote


class SaysTheAddress(webbrowser.BaseBrowser):
    def open(self, url, new=0, autoraise=True):
        say({"open": url})
        return True


def say(fact):
    print(json.dumps(fact), flush=True)


def whoami():
    user = remote.User.get()
    return {"subject": user.subject(), "name": user.name()}


def projects():
    return [project.pb2.id for project in remote.Project.listall()]


def tasks():
    return [task.pb2.task_id.name for task in remote.Task.listall(project="flytesnacks", domain="development")]


def runs():
    found = remote.Run.listall(project="flytesnacks", domain="development")
    return [[run.name, run.pb2.action.metadata.executed_by.user.id.subject] for run in found]


def watch():
    run = next(iter(remote.Run.listall(project="flytesnacks", domain="development")))
    return [details.phase.value for details in remote.ActionDetails.watch(run.action.action_id)]


def answer(call, metadata):
    work = {"whoami": whoami, "projects": projects, "tasks": tasks, "runs": runs, "watch": watch}[call]
    try:
        if not metadata:
            return {"result": work()}
        with remote.auth_metadata(*(tuple(pair) for pair in metadata)):
            return {"result": work()}
    except Exception as error:
        code = getattr(error, "code", None)
        return {"error": type(error).__name__, "code": getattr(code, "value", code), "message": str(error)}


webbrowser.register("says-the-address", None, SaysTheAddress(), preferred=True)
init = flyte.init_from_api_key if "FLYTE_API_KEY" in os.environ else flyte.init
init(**json.loads(sys.stdin.readline()))
for line in sys.stdin:
    asked = json.loads(line)
    say(answer(asked["call"], asked.get("metadata")))
