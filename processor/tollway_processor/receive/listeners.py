"""Addresses to listen on and the certificates to listen with; the receivers bind them."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import ssl
from pathlib import Path
from typing import NamedTuple

import grpc

from tollway_processor.errors import UsageError
from tollway_processor.receive.auth import Tokens
from tollway_processor.receive.limits import TlsConfig

logger = logging.getLogger(__name__)


class Address(NamedTuple):
    """A host and a port to listen on; port 0 picks a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(text: str, flag: str) -> Address:
    """Read HOST:PORT or [IPV6]:PORT; raises UsageError naming `flag`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"{flag} {text}: give HOST:PORT, for instance 127.0.0.1:4318")
    return Address(host, int(port))


def bind_error(address: Address, flag: str, error: OSError) -> UsageError:
    """Return the one line for an address that cannot be bound."""
    if error.errno == errno.EADDRINUSE:
        why = "the port is in use; stop what listens there or give another port"
    elif error.errno in (errno.EACCES, errno.EPERM):
        why = "not permitted; give a port above 1023"
    else:
        why = f"cannot be listened on: {error.strerror or error}"
    return UsageError(f"{flag} {address}: {why}")


def probe(address: Address, flag: str) -> None:
    """Bind the address and let it go; raises UsageError saying why it cannot be bound.

    For a listener whose own error does not say why.
    """
    try:
        with socket.create_server((address.host, address.port), family=_family(address)):
            return
    except OSError as error:
        raise bind_error(address, flag, error) from error


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def warn_if_exposed(address: Address, flag: str, tokens: Tokens) -> None:
    """Log a warning when others than this machine can send without a token."""
    if not address.is_loopback and tokens.is_open:
        logger.warning(
            "%s %s listens beyond this machine and takes spans from anybody; "
            "set receive.tokens, or listen on 127.0.0.1",
            flag,
            address,
        )


def ssl_context(config: TlsConfig) -> ssl.SSLContext | None:
    """Return the HTTP listener's TLS context, None for plain text; raises UsageError."""
    if not _has_tls(config):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.certificate_file, config.key_file)
        if config.client_ca_file:
            context.load_verify_locations(config.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"receive.tls: the certificate files cannot be used: {error}") from error
    return context


def grpc_credentials(config: TlsConfig) -> grpc.ServerCredentials | None:
    """Return the gRPC listener's credentials, None for plain text; raises UsageError."""
    if ssl_context(config) is None:  # also checks the files, which gRPC only logs about
        return None
    certificate = Path(config.certificate_file).read_bytes()
    key = Path(config.key_file).read_bytes()
    authorities = Path(config.client_ca_file).read_bytes() if config.client_ca_file else None
    return grpc.ssl_server_credentials(
        [(key, certificate)],
        root_certificates=authorities,
        require_client_auth=authorities is not None,
    )


def _has_tls(config: TlsConfig) -> bool:
    if bool(config.certificate_file) != bool(config.key_file):
        raise UsageError("receive.tls: certificate_file and key_file go together")
    if config.client_ca_file and not config.certificate_file:
        raise UsageError("receive.tls: client_ca_file needs certificate_file and key_file")
    return bool(config.certificate_file)
