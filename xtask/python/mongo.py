"""Talks to MongoDB for `cargo xtask`, which carries no driver of its own.

mongo.py primary HOST:PORT    make the one-member replica set rs0 and wait for its primary
mongo.py list URL PREFIX      print the names of the databases that start with PREFIX
mongo.py drop URL NAME...     drop these databases
"""

import sys
import time

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

NOT_YET_INITIATED = 94


def primary(address: str) -> None:
    client = MongoClient(f"mongodb://{address}/", directConnection=True, serverSelectionTimeoutMS=30_000)
    config = {"_id": "rs0", "members": [{"_id": 0, "host": address}]}
    try:
        current = client.admin.command("replSetGetConfig")["config"]
        if [member["host"] for member in current["members"]] != [address]:
            config["version"] = current["version"] + 1
            client.admin.command("replSetReconfig", config, force=True)
    except OperationFailure as error:
        if error.code != NOT_YET_INITIATED:
            raise
        client.admin.command("replSetInitiate", config)
    deadline = time.monotonic() + 60
    while not client.admin.command("hello").get("isWritablePrimary"):
        if time.monotonic() > deadline:
            sys.exit("the replica set has no primary after 60 s")
        time.sleep(0.05)


def main() -> None:
    command, target, *rest = sys.argv[1:]
    if command == "primary":
        primary(target)
    elif command == "list":
        for name in MongoClient(target).list_database_names():
            if name.startswith(rest[0]):
                print(name)
    elif command == "drop":
        client = MongoClient(target)
        for name in rest:
            client.drop_database(name)
    else:
        sys.exit(__doc__)


try:
    main()
except PyMongoError as error:
    sys.exit(str(error))
