"""Compares messages and methods, as JSON on standard input, with those of the Flyte that is installed. Says what differs."""

import importlib
import json
import sys

from google.protobuf import descriptor_pool


def installed(file):
    importlib.import_module(file.removesuffix(".proto").replace("/", ".") + "_pb2")
    return descriptor_pool.Default().FindFileByName(file)


def differences(ours):
    for file, messages in ours["messages"].items():
        theirs = installed(file).message_types_by_name
        for message, fields in messages.items():
            for name, *shape in fields:
                field = theirs[message].fields_by_name.get(name) if message in theirs else None
                of = field and (field.message_type or field.enum_type)
                found = field and [field.number, of.full_name if of else field.type, field.is_repeated]
                if found != shape:
                    yield [f"{message}.{name}", shape, found]
    for file, enums in ours["enums"].items():
        theirs = installed(file).enum_types_by_name
        for enum, values in enums.items():
            found = {value.name: value.number for value in theirs[enum].values} if enum in theirs else None
            if found != values:
                yield [enum, values, found]
    for file, methods in ours["methods"].items():
        theirs = installed(file).services_by_name
        for service, method, asked, answered, streams in methods:
            one = theirs[service].methods_by_name.get(method) if service in theirs else None
            found = one and [one.input_type.full_name, one.output_type.full_name, one.server_streaming]
            if found != [asked, answered, streams]:
                yield [f"{service}.{method}", [asked, answered, streams], found]


print(json.dumps(list(differences(json.load(sys.stdin)))))
