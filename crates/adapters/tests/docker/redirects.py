"""Sends its callers to where TARGET says; with HEALTH, those who ask for its health too."""

import http.server
import os


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if "HEALTH" in os.environ:
            return self.do_POST()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(302)
        self.send_header("Location", os.environ["TARGET"])
        self.send_header("Content-Length", "0")
        self.end_headers()


http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
