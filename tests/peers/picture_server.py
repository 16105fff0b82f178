"""A server of pictures and of everything that goes wrong with them, on several loopback addresses."""

import http.server
import threading
from dataclasses import dataclass, field


@dataclass
class Answer:
    """One answer. `lie` is added to its Content-Length."""

    body: bytes = b""
    status: int = 200
    headers: list = field(default_factory=lambda: [("Content-Type", "image/jpeg")])
    lie: int = 0


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers from the server's table; what is not in it is not found, robots.txt included."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        answer = self.server.answers.get(self.path) or Answer(b"nothing here", 404, [("Content-Type", "text/plain")])
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body) + answer.lie))
        if answer.lie:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """A server whose queue holds as many connections as a fetcher may open at once."""

    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that hangs up is no news."""


class Servers:
    """The same answers on 127.0.0.1 to 127.0.0.N, each a host of its own."""

    def __init__(self, hosts=8):
        self.answers = {}
        self.servers = []
        for number in range(1, hosts + 1):
            server = Server((f"127.0.0.{number}", 0), Handler)
            server.answers = self.answers
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)

    def url(self, path, host=0):
        """The url of a path on one of the hosts."""
        address, port = self.servers[host % len(self.servers)].server_address[:2]
        return f"http://{address}:{port}{path}"

    def add(self, path, answer, host=0):
        """Serves an answer and gives its url."""
        self.answers[path] = answer
        return self.url(path, host)

    def close(self):
        """Stops serving."""
        for server in self.servers:
            server.shutdown()
            server.server_close()
