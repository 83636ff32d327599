"""A message is a POST, over a connection that stays open."""

import sys
from http.client import HTTPConnection

from peers.publisher import serve

server = HTTPConnection("127.0.0.1", int(sys.argv[1]))


def publish(to: str, text: str) -> None:
    server.request("POST", f"/publish/{to}", body=text)
    server.getresponse().read()


if __name__ == "__main__":
    server.connect()
    serve(publish)
