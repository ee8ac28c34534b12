"""TLS of the OCPP listener: contexts, the client's certificate, the handshake before WebSocket's.

Versions and cipher suites are chosen in docs/decisions (security profiles); who a certificate's
subject may be is decided in stations/entry.py.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import cast

import structlog
from cryptography import x509
from prometheus_client import Counter, Gauge

from chargehub.gateway.doorway import Doorway, Place
from chargehub.gateway.station_socket import StationSocket
from chargehub.kit.clock import wall_now
from chargehub.kit.errors import ChargeHubError
from chargehub.stations.entry import ClientCertificate

log = structlog.get_logger(__name__)

HANDSHAKES = Counter(
    "chargehub_ocpp_tls_handshakes_total", "TLS handshakes by outcome", ["outcome"]
)
EXPIRES_AT = Gauge(
    "chargehub_ocpp_certificate_expires_timestamp_seconds",
    "When the first certificate of a server chain ends, as Unix time",
    ["chain"],
)

# A00.FR.318/421 demand the first two and the last two; those between give RSA certificates forward
# secrecy. What a station offers first decides nothing, so the last two are for whom has no other.
SUITES_12 = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
# 112 bits (A00.FR.501-503): RSA from 2,048 bits, EC from 224; no SHA-1 signatures.
SECURITY_LEVEL = 2
BACKLOG = 4_096
ACCEPT_AGAIN_S = 0.5


class CertificatesUnusable(ChargeHubError):
    """The TLS certificates cannot be used."""

    code = "certificates-unusable"


@dataclass(frozen=True, slots=True)
class Chain:
    """PEM files: the server's certificate with those between it and its root, and its key."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class TlsOptions:
    host: str
    port: int
    chains: tuple[Chain, ...]
    """One, or one of RSA and one of ECDSA."""
    client_ca: Path | None = None
    """PEM of the authorities whose client certificates count; None: no profile 3."""


def tls_options(
    host: str, port: int, files: Sequence[tuple[Path, Path]], client_ca: Path | None
) -> TlsOptions | None:
    """Gather what settings say; None where there is no certificate, and so no TLS."""
    chains = tuple(Chain(*pair) for pair in files)
    return TlsOptions(host, port, chains, client_ca) if chains else None


def build_context(options: TlsOptions) -> ssl.SSLContext:
    """Read the files into a context. Blocking; raises CertificatesUnusable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A00.FR.313. Python's own default has no TLS_RSA suites; OpenSSL's configuration file, which
    # differs from system to system, is overruled.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join((*SUITES_12, f"@SECLEVEL={SECURITY_LEVEL}")))
    context.options |= ssl.OP_NO_COMPRESSION  # A00.FR.321
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    # No resumption by ticket. By the session id of TLS 1.2 there is: Python cannot switch it off.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    expiries: dict[str, datetime] = {}
    for files in options.chains:
        try:
            context.load_cert_chain(files.chain, files.key, password=_no_password)
            expiries[files.chain.name] = expires_at(files.chain)
        except (OSError, ValueError) as error:
            raise CertificatesUnusable(f"{files.chain}, {files.key}: {error}") from error
    if options.client_ca is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        try:
            context.load_verify_locations(options.client_ca)
        except (OSError, ValueError) as error:
            raise CertificatesUnusable(f"{options.client_ca}: {error}") from error
    for name, expiry in expiries.items():
        EXPIRES_AT.labels(name).set(expiry.timestamp())
        if expiry <= wall_now():
            log.error("server_certificate_expired", chain=name, expired_at=expiry.isoformat())
    return context


def expires_at(chain: Path) -> datetime:
    """Return when the first of the chain's certificates ends."""
    certificates = x509.load_pem_x509_certificates(chain.read_bytes())
    return min(certificate.not_valid_after_utc for certificate in certificates)


def read_client_certificate(station: StationSocket) -> ClientCertificate | None:
    """Return the subject of the certificate that the client proved to own, if it sent one."""
    found = _tls_object(station)
    certificate = found.getpeercert() if found is not None else None
    if not certificate:
        return None
    subject = cast("tuple[tuple[tuple[str, str], ...], ...]", certificate.get("subject", ()))
    pairs = [pair for names in subject for pair in names]
    return ClientCertificate(
        common_names=tuple(value for name, value in pairs if name == "commonName"),
        organisations=tuple(value for name, value in pairs if name == "organizationName"),
    )


def describe_tls(station: StationSocket) -> str | None:
    """Return protocol version and cipher suite; None on a plain socket."""
    found = _tls_object(station)
    cipher = found.cipher() if found is not None else None
    return f"{found.version()} {cipher[0]}" if found is not None and cipher else None


def _tls_object(station: StationSocket) -> ssl.SSLObject | None:
    found: ssl.SSLObject | None = station.transport.get_extra_info("ssl_object")
    return found


def _no_password() -> str:
    # Without this OpenSSL would ask a terminal.
    raise CertificatesUnusable("The key is encrypted; the server needs it without a passphrase.")


@dataclass(slots=True, eq=False)
class TlsDoor:
    """The TLS port: those who knock are counted and timed until TLS is spoken.

    An event loop's own TLS server tells nobody of connections whose handshake is under way or
    fails; so this accepts by itself and hands over sockets whose handshake is done. The context is
    replaced when the files are read anew: who is in stays in.
    """

    options: TlsOptions
    context: ssl.SSLContext
    timeout_s: float
    doorway: Doorway
    create: Callable[[Place], StationSocket]
    _knocking: set[asyncio.Task[None]] = field(default_factory=set)
    _listening: socket.socket | None = None
    _accepting: asyncio.Task[None] | None = None

    def open(self) -> None:
        family = socket.AF_INET6 if ":" in self.options.host else socket.AF_INET
        place = (self.options.host, self.options.port)
        self._listening = socket.create_server(place, family=family, backlog=BACKLOG)
        self._listening.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(self._listening), name="tls-accept")

    @property
    def port(self) -> int:
        assert self._listening is not None
        port: int = self._listening.getsockname()[1]
        return port

    @property
    def serving(self) -> bool:
        return self._accepting is not None and not self._accepting.done()

    @property
    def knocking(self) -> int:
        """How many handshakes are under way."""
        return len(self._knocking)

    async def close(self) -> None:
        """Accept nobody more and send those away who are in their handshake."""
        tasks = [*self._knocking, *([self._accepting] if self._accepting is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listening is not None:
            self._listening.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                knocking, address = await loop.sock_accept(listening)
            except OSError as error:
                # Out of file descriptors, as a rule; it passes.
                log.warning("tls_accept_failed", why=str(error))
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            full = self.knocking >= self.doorway.handshakes_max
            place = None if full else self.doorway.enter()
            if place is None:
                HANDSHAKES.labels("busy").inc()
                knocking.close()
                continue
            work = self._shake_hands(knocking, str(address[0]), place)
            task = loop.create_task(work, name="tls-knock")
            self._knocking.add(task)
            task.add_done_callback(self._knocking.discard)

    async def _shake_hands(self, knocking: socket.socket, remote: str, place: Place) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                partial(self.create, place),
                knocking,
                ssl=self.context,
                ssl_handshake_timeout=self.timeout_s,
            )
        except asyncio.CancelledError:
            place.leave()
            raise
        except OSError as error:
            place.leave()
            HANDSHAKES.labels("failed").inc()
            log.warning("tls_refused", remote=remote, why=_reason(error))
            knocking.close()
        else:
            HANDSHAKES.labels("done").inc()


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error) or type(error).__name__
