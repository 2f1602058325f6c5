"""The services speak TLS with each other and with people, and certificates change while they are used."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import httpx
import pytest

from harness.applications import fibonacci
from harness.load import Load
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.reach import AUTHORITY, SYSTEM
from harness.services import configured
from harness.waiting import PATIENCE, eventually

SECRET = "nemesis-ca-key"


class Relay:
    """Passes bytes on to an address, and keeps what it has seen, as somebody on the wire could."""

    MOST = 1 << 20  # bytes that are kept

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._listens = socket.create_server(("127.0.0.1", 0))
        self.seen = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return self._listens.getsockname()[1]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listens.accept()
                far = socket.create_connection(self._to, timeout=PATIENCE)
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while some := source.recv(16384):
                if len(self.seen) < self.MOST:
                    self.seen += some
                target.sendall(some)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listens.close()


@contextmanager
def relayed(url: str) -> Iterator[tuple[Relay, str]]:
    """A relay before an address, and its own address."""
    at = urlsplit(url)
    relay = Relay(at.hostname or "", at.port or 0)
    try:
        yield relay, f"{at.scheme}://127.0.0.1:{relay.port}"
    finally:
        relay.close()


@pytest.mark.parametrize("service", [CONTROLLER, BALANCER])
def test_what_goes_over_the_wire_is_encrypted(nemesis: Nemesis, service: str) -> None:
    base, path = {
        CONTROLLER: (nemesis.controller_url, "/v1/applications"),
        BALANCER: (nemesis.admin_url, "/loadbalancer/state"),
    }[service]
    token = nemesis.operator.token
    with relayed(base) as (relay, url):
        answer = httpx.get(
            url + path, headers={"Authorization": f"Bearer {token}"}, verify=nemesis.reach.trust(), trust_env=False, timeout=PATIENCE
        )
    assert answer.status_code == 200, answer.text
    seen = bytes(relay.seen)
    assert seen[:1] == b"\x16", seen[:20]
    for secret in (token.encode(), b"Authorization", path.encode(), b"HTTP/1.1", b"applications"):
        assert secret not in seen


@pytest.mark.parametrize("service", [CONTROLLER, BALANCER])
def test_clear_text_is_told_that_the_port_speaks_tls(nemesis: Nemesis, service: str) -> None:
    url = {CONTROLLER: nemesis.controller_url, BALANCER: nemesis.admin_url}[service]
    answer = httpx.get(url.replace("https://", "http://") + "/healthz", trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 400 and "this port speaks TLS" in answer.text, answer.text


def test_the_authority_is_where_applications_are(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)

    def published() -> bool:
        found = nemesis.cluster.list("ConfigMap", namespace, fields=f"metadata.name={AUTHORITY}")
        return bool(found) and found[0]["data"]["ca.crt"] == nemesis.reach.authority()

    eventually(published, "the namespace has the authority")
    nemesis.cluster.delete("CustomAutoscaler", app.name, namespace)
    eventually(lambda: not nemesis.cluster.list("ConfigMap", namespace, fields=f"metadata.name={AUTHORITY}"), "it is removed")


def shown(nemesis: Nemesis, url: str) -> bytes:
    """The certificate at an address."""
    at = urlsplit(url)
    with (
        socket.create_connection((at.hostname, at.port), timeout=PATIENCE) as plain,
        nemesis.reach.trust().wrap_socket(plain) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


@pytest.mark.disruptive
@pytest.mark.long
def test_certificates_change_under_load_and_no_request_fails(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 600})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    faults: list[str] = []
    over = threading.Event()

    def people(url: str) -> None:
        """Asks on a connection that is kept, and on a new one each time."""
        header = {"Authorization": f"Bearer {nemesis.operator.token}"}
        with httpx.Client(verify=nemesis.reach.trust(), trust_env=False, timeout=PATIENCE, headers=header) as kept:
            while not over.wait(0.1):
                with httpx.Client(verify=nemesis.reach.trust(), trust_env=False, timeout=PATIENCE, headers=header) as new:
                    for client in (kept, new):
                        try:
                            answer = client.get(url)
                            if answer.status_code != 200:
                                faults.append(f"{url}: {answer.status_code} {answer.text[:200]}")
                        except (httpx.HTTPError, ssl.SSLError) as err:
                            faults.append(f"{url}: {type(err).__name__} {err}")

    # The load balancer's certificate is of the lifetime that was in force when it was issued: it begins anew.
    with (
        configured(nemesis, CONTROLLER, {"NEMESIS_CERTIFICATE_LIFETIME": "1m"}),
        configured(nemesis, BALANCER, {"BEGUN": "anew"}),
    ):
        urls = [nemesis.controller_url + "/v1/pods", nemesis.admin_url + "/loadbalancer/state"]
        before = [shown(nemesis, url) for url in urls]
        askers = [threading.Thread(target=people, args=(url,), daemon=True) for url in urls]
        with Load(nemesis.data_url + app.prefix + "/fib/10", clients=4) as load:
            for asker in askers:
                asker.start()
            load.after(50)
            nemesis.cluster.delete("Secret", SECRET, SYSTEM)  # another root is published
            eventually(lambda: nemesis.reach.authority().count("BEGIN CERTIFICATE") == 2, "the next root is published")
            for url, old in zip(urls, before, strict=True):
                eventually(lambda url=url, old=old: shown(nemesis, url) != old, f"{url} shows another certificate")
            load.after(50)
            over.set()
            for asker in askers:
                asker.join(PATIENCE)
        assert not load.failures and load.answered > 100, load.failures[:5]
        assert not faults, faults[:5]
        state = nemesis.balancer_state(namespace)
        assert state["controller"]["connected"], state["controller"]
