"""What a receiver accepts, as configuration; budget.py, body.py and check.py enforce it."""

from __future__ import annotations

import msgspec

KIB = 1 << 10
MIB = 1 << 20
_MOST = (1 << 32) - 1


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much one request, and all requests in flight together, may take."""

    encoded_bytes: int = 16 * MIB
    """Largest body as it comes over the wire, in bytes; a larger one is answered 413."""

    decoded_bytes: int = 32 * MIB
    """Largest body after decompression, in bytes; unpacking stops there and answers 413."""

    in_flight_bytes: int = 96 * MIB
    """Bytes of all bodies received but not yet answered; beyond it requests are answered 429."""

    in_flight_requests: int = 1024
    """Requests received but not yet answered; beyond it requests are answered 429."""

    spans: int = 65_536
    """Most spans or log records in one request; more are answered 413."""

    attributes: int = 1_048_576
    """Most attributes, events and links of all spans of one request; more are answered 413."""

    attribute_bytes: int = 256 * KIB
    """Longest text of an attribute (of spans, events, resources) or a name; a longer one is cut
    there, and says so at its end."""

    content_bytes: int = 1024 * KIB
    """The same for message content, instructions, tool definitions, arguments and results."""

    attribute_count: int = 1024
    """Most attributes kept of one span, event or resource; `tollway.dropped_attributes` of a span
    or resource counts those beyond."""

    event_count: int = 4096
    """Most events kept of one span; its `tollway.dropped_events` counts those beyond."""

    link_count: int = 1024
    """Most links kept of one span; its `tollway.dropped_links` counts those beyond."""

    nesting: int = 24
    """Levels of lists and maps inside an attribute's value, 30 at most; deeper is answered 400."""

    body_timeout_s: float = 30.0
    """Seconds a sender may take to deliver a body before it is answered 408."""

    retry_delay_s: float = 1.0
    """Seconds after which a sender turned away for overload is told to come back."""

    def __post_init__(self) -> None:
        if self.decoded_bytes > self.in_flight_bytes:
            raise ValueError("in_flight_bytes must hold one request of decoded_bytes at least")
        for name in (
            "attribute_bytes",
            "content_bytes",
            "attribute_count",
            "event_count",
            "link_count",
        ):
            if not 1 <= getattr(self, name) <= _MOST:
                raise ValueError(f"{name} must be from 1 to {_MOST}")
        if not 1 <= self.nesting <= 30:
            raise ValueError("nesting must be from 1 to 30, what the protobuf parser allows")


class TokenConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bearer token and the project whose name is stamped on what it sends."""

    project: str
    """Name stamped on every row that arrives with this token."""

    token: str = ""
    """The token itself; better kept out of the file with `token_file` or `token_env`."""

    token_file: str = ""
    """Path of a file whose content, white space stripped, is the token; read again on change."""

    token_env: str = ""
    """Name of the environment variable that holds the token."""


class TlsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files of a TLS listener, all PEM; empty paths mean plain text."""

    certificate_file: str = ""
    """Path of the certificate chain; with `key_file` it turns TLS on for both receivers."""

    key_file: str = ""
    """Path of the certificate's private key."""

    client_ca_file: str = ""
    """Path of the authorities whose client certificates are required; empty asks for none."""


class ReceiveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The OTLP receivers."""

    http: str = "127.0.0.1:4318"
    """HOST:PORT of the OTLP/HTTP receiver; port 0 picks a free one, an empty text turns it off."""

    grpc: str = "127.0.0.1:4317"
    """HOST:PORT of the OTLP/gRPC receiver; port 0 picks a free one, an empty text turns it off."""

    limits: Limits = Limits()
    """Sizes and counts that a request may not exceed."""

    tokens: tuple[TokenConfig, ...] = ()
    """Bearer tokens that may send; none at all lets everybody send."""

    tls: TlsConfig = TlsConfig()
    """Certificates of the listeners."""
