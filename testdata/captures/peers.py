"""Servers and odd clients for record.sh: what curl, dig, ping and iperf3 do not do.

    peers.py serve CERT KEY READY    all servers; makes the file READY once they listen
    peers.py telnet HOST LINE...     port 23: send each line, wait for its echo
    peers.py udp HOST PORT TEXT...   send each text as one datagram, wait for its echo
    peers.py udp-closed HOST PORT    send one datagram; the answer must be ICMP unreachable
    peers.py tcp-closed HOST PORT    connect; the answer must be RST
    peers.py reset-by-server HOST    port 9009: the server resets mid-way
    peers.py reset-by-client HOST    port 8080: this side resets mid-way

Servers listen on IPv4 and IPv6: HTTP on 80 and 8080, TLS on 443, TLS with a
segment size of 256 bytes on 8443 (so that a ClientHello spans segments), TCP
echo on 23, UDP echo on 7, a server that resets on 9009.
"""

import http.server
import pathlib
import socket
import ssl
import struct
import sys
import threading

TIMEOUT_SECONDS = 5
TELNET, UDP_ECHO, RESETTING, SMALL_MSS_TLS = 23, 7, 9009, 8443

PAGES = {
    "/": "<!doctype html><title>Weir</title><p>A weir diverts a river under control.</p>\n",
    "/news": "<!doctype html><title>News</title>" + "<p>The water is high today.</p>\n" * 12,
    "/large": "0123456789abcdef" * 2560,  # 40 KiB: many segments, or a few merged ones
}


class Pages(http.server.BaseHTTPRequestHandler):
    """Serves PAGES and answers a POST with the number of bytes it read."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lab", ""
    wbufsize = 16 * 1024  # head and page leave in one segment where they fit

    def do_GET(self):
        page = PAGES.get(self.path)
        self.reply(200 if page else 404, page or "not found\n")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply(200, f"read {len(body)} bytes\n")

    def reply(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class DualStackServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6  # with V6ONLY off: IPv4 too
    segment_bytes = None

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if self.segment_bytes:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, self.segment_bytes)
        super().server_bind()

    def handle_error(self, request, client_address):
        pass  # a client that resets is part of the recording


class SmallSegmentServer(DualStackServer):
    segment_bytes = 256


def start(target, *args):
    threading.Thread(target=target, args=args, daemon=True).start()


def start_http(port, tls=None, server=DualStackServer):
    listening = server(("::", port), Pages)
    if tls:
        # The handshake runs in the connection's own thread, at its first read.
        listening.socket = tls.wrap_socket(
            listening.socket, server_side=True, do_handshake_on_connect=False
        )
    start(listening.serve_forever)


def start_tcp(port, conversation):
    listening = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)

    def accept():
        while True:
            connection, _ = listening.accept()
            start(conversation, connection)

    start(accept)


def echo_lines(connection):
    with connection:
        connection.sendall(b"weir lab\r\nlogin: ")
        while data := connection.recv(1500):
            connection.sendall(data)


def reset(connection):
    """Close with RST: SO_LINGER with a time of 0 discards what is unsent."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def answer_then_reset(connection):
    connection.recv(1500)
    connection.sendall(b"the first half")
    connection.recv(1500)
    reset(connection)


def start_udp_echo():
    echo = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    echo.bind(("::", UDP_ECHO))

    def answer():
        while True:
            data, sender = echo.recvfrom(65535)
            echo.sendto(data, sender)

    start(answer)


def serve(certificate, key, ready):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    tls.set_alpn_protocols(["http/1.1"])
    start_http(80)
    start_http(8080)
    start_http(443, tls)
    start_http(SMALL_MSS_TLS, tls, SmallSegmentServer)
    start_tcp(TELNET, echo_lines)
    start_tcp(RESETTING, answer_then_reset)
    start_udp_echo()
    pathlib.Path(ready).touch()
    threading.Event().wait()


def connect(host, port):
    return socket.create_connection((host, int(port)), TIMEOUT_SECONDS)


def telnet(host, *lines):
    with connect(host, TELNET) as connection:
        connection.recv(1500)
        for line in lines:
            connection.sendall(line.encode() + b"\r\n")
            connection.recv(1500)


def connected_udp(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    datagrams = socket.socket(family, socket.SOCK_DGRAM)
    datagrams.settimeout(TIMEOUT_SECONDS)
    datagrams.connect((host, int(port)))
    return datagrams


def udp(host, port, *texts):
    with connected_udp(host, port) as datagrams:
        for text in texts:
            datagrams.send(text.encode())
            if datagrams.recv(65535) != text.encode():
                sys.exit(f"udp {host} {port}: the echo differs from what was sent")


def must_raise(error, what, action):
    try:
        action()
    except error:
        return
    sys.exit(f"{what}: expected {error.__name__}")


def udp_closed(host, port):
    with connected_udp(host, port) as datagrams:
        datagrams.send(b"is anybody there?")
        must_raise(ConnectionRefusedError, "udp-closed", lambda: datagrams.recv(1500))


def tcp_closed(host, port):
    must_raise(ConnectionRefusedError, "tcp-closed", lambda: connect(host, port))


def reset_by_server(host):
    with connect(host, RESETTING) as connection:
        connection.sendall(b"the question")
        connection.recv(1500)
        connection.sendall(b"the rest, please")
        must_raise(ConnectionResetError, "reset-by-server", lambda: connection.recv(1500))


def reset_by_client(host):
    connection = connect(host, 8080)
    connection.sendall(b"POST /form HTTP/1.1\r\nHost: half.example\r\nContent-Length: 100\r\n\r\n")
    connection.sendall(b"the first half")
    reset(connection)


COMMANDS = {
    command.__name__.replace("_", "-"): command
    for command in (serve, telnet, udp, udp_closed, tcp_closed, reset_by_server, reset_by_client)
}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])
