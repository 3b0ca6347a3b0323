import http.server
import socket
import threading
import time

from tf_ccvae.data.network import reachable


def test_a_host_is_reachable_if_it_answers_in_time_whatever_it_says():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:  # says 501
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert reachable(f"http://127.0.0.1:{server.server_port}/")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert not reachable(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        assert time.monotonic() - started < 0.9
