"""Addresses, busy ports, certificates and the warning about open doors."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import aiohttp
import grpc
import pytest

from tollway_processor.errors import UsageError
from tollway_processor.ingest.counters import Counters
from tollway_processor.receive.auth import Tokens
from tollway_processor.receive.grpc import GrpcReceiver
from tollway_processor.receive.http import HttpReceiver, Readiness
from tollway_processor.receive.intake import Intake
from tollway_processor.receive.limits import Limits, TlsConfig
from tollway_processor.receive.listeners import Address, parse_address

CERTIFICATE = Path(__file__).parent / "data" / "certificate.pem"
KEY = CERTIFICATE.with_name("key.pem")
TLS = TlsConfig(certificate_file=str(CERTIFICATE), key_file=str(KEY))


class NoBatcher:
    async def submit(self, signal, body, project="", *, is_replay=False):
        raise AssertionError("no request was expected")


@pytest.fixture
def intake() -> Intake:
    return Intake(NoBatcher(), Limits(), Counters())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:4318", Address("127.0.0.1", 4318)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:80", Address("::1", 80)),
    ],
)
def test_address_is_read(text, expected):
    assert parse_address(text, "--http") == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", "4318", ":4318", "localhost", "localhost:http", "a:70000"])
def test_bad_address_names_the_flag(text):
    with pytest.raises(UsageError, match=r"^--http .*give HOST:PORT"):
        parse_address(text, "--http")


@pytest.mark.parametrize(("receiver", "flag"), [(HttpReceiver, "--http"), (GrpcReceiver, "--grpc")])
async def test_busy_port_is_one_clear_line(intake, receiver, flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"^{flag} {address}: the port is in use"):
            await receiver(intake, Tokens({})).start(address)


@pytest.mark.parametrize("receiver", [HttpReceiver, GrpcReceiver])
async def test_two_receivers_do_not_share_a_port(intake, receiver):
    first = receiver(intake, Tokens({}))
    await first.start("127.0.0.1:0")
    with pytest.raises(UsageError, match="the port is in use"):
        await receiver(intake, Tokens({})).start(f"127.0.0.1:{first.port}")
    await first.stop()


@pytest.mark.parametrize("receiver", [HttpReceiver, GrpcReceiver])
async def test_address_of_another_machine_is_one_clear_line(intake, receiver):
    with pytest.raises(UsageError, match=r"^--\w+ 192\.0\.2\.1:0: cannot be listened on"):
        await receiver(intake, Tokens({})).start("192.0.2.1:0")


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (TlsConfig(certificate_file="a.pem"), "go together"),
        (TlsConfig(client_ca_file="a.pem"), "needs certificate_file"),
        (TlsConfig(certificate_file="none.pem", key_file="none.pem"), "cannot be used"),
        (TlsConfig(certificate_file=str(KEY), key_file=str(KEY)), "cannot be used"),
    ],
)
@pytest.mark.parametrize("receiver", [HttpReceiver, GrpcReceiver])
async def test_unusable_certificates_are_one_clear_line(intake, receiver, tls, expected):
    with pytest.raises(UsageError, match=rf"^receive\.tls: .*{expected}"):
        await receiver(intake, Tokens({}), tls=tls).start("127.0.0.1:0")


async def test_both_receivers_speak_tls(serve, span_request):
    async with serve(tls=TLS) as receivers:
        body = span_request().SerializeToString()
        trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                receivers.url.replace("http:", "https:") + "/v1/traces",
                data=body,
                headers={"Content-Type": "application/x-protobuf"},
                ssl=trusting,
            ) as response,
        ):
            assert response.status == 200
        credentials = grpc.ssl_channel_credentials(CERTIFICATE.read_bytes())
        async with grpc.aio.secure_channel(receivers.target, credentials) as channel:
            export = channel.unary_unary(
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            )
            assert await export(body) == b""
        assert len(receivers.store.deliveries) == 2


async def test_client_without_a_certificate_is_turned_away_when_one_is_required(serve):
    tls = TlsConfig(str(CERTIFICATE), str(KEY), client_ca_file=str(CERTIFICATE))
    async with serve(tls=tls) as receivers, aiohttp.ClientSession() as session:
        anonymous = ssl.create_default_context(cafile=str(CERTIFICATE))
        url = receivers.url.replace("http:", "https:") + "/healthz"
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await session.get(url, ssl=anonymous)
        known = ssl.create_default_context(cafile=str(CERTIFICATE))
        known.load_cert_chain(CERTIFICATE, KEY)
        async with session.get(url, ssl=known) as response:
            assert response.status == 200


async def test_listening_beyond_the_machine_without_a_token_is_warned_about(intake, caplog):
    for tokens, warnings in ((Tokens({}), 1), (Tokens({"s3cret": "checkout"}), 0)):
        caplog.clear()
        receiver = HttpReceiver(intake, tokens)
        await receiver.start("0.0.0.0:0")
        await receiver.stop()
        assert len(caplog.messages) == warnings
    receiver = HttpReceiver(intake, Tokens({}))
    await receiver.start("127.0.0.1:0")
    await receiver.stop()
    assert not caplog.messages


async def test_readiness_is_what_the_service_says(intake):
    receiver = HttpReceiver(
        intake, Tokens({}), readiness=lambda: Readiness(False, "the disk is full")
    )
    await receiver.start("127.0.0.1:0")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{receiver.port}/readyz") as response,
    ):
        assert (response.status, await response.text()) == (503, "the disk is full\n")
    await receiver.stop()
