"""Bearer tokens and the projects they are bound to; the receivers read them from requests."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tollway_processor.errors import TollwayError, UsageError
from tollway_processor.receive.limits import TokenConfig

logger = logging.getLogger(__name__)

_LOOK_S = 5.0  # between two looks at the files' times


class UnauthenticatedError(TollwayError):
    """A request without a token that this receiver knows (401, UNAUTHENTICATED)."""


class Tokens:
    """The tokens that may send; none at all lets everybody send, under no project."""

    def __init__(self, project_by_token: Mapping[str, str]) -> None:
        self._replace(project_by_token)

    def _replace(self, project_by_token: Mapping[str, str]) -> None:
        # Digests have one length, so the comparison's time says nothing about the token's.
        self._projects = [(_digest(token), name) for token, name in project_by_token.items()]

    @property
    def is_open(self) -> bool:
        """Whether requests without a token are let in."""
        return not self._projects

    def project(self, authorization: str | None) -> str:
        """Return the project of an `Authorization` header; raises UnauthenticatedError.

        Every token is compared, in constant time, whichever matches.
        """
        if self.is_open:
            return ""
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise UnauthenticatedError("send a token: `Authorization: Bearer TOKEN`")
        given, found = _digest(token.strip()), None
        for known, project in self._projects:
            if hmac.compare_digest(known, given):
                found = project
        if found is None:
            raise UnauthenticatedError("the bearer token is not one of this receiver's tokens")
        return found


class FileTokens(Tokens):
    """Tokens of the configuration that follow their files: what is written there counts in seconds.

    A file that cannot be read any more changes nothing, and is logged: rotating a secret must not
    lock everybody out in between.
    """

    def __init__(
        self,
        configs: Sequence[TokenConfig],
        environ: Mapping[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configs, self._environ, self._monotonic = configs, environ, monotonic
        self._files = [Path(config.token_file) for config in configs if config.token_file]
        self._versions = self._stat()
        self._look_at = monotonic() + _LOOK_S
        super().__init__(_projects(configs, environ))

    def project(self, authorization: str | None) -> str:
        """See Tokens.project."""
        if self._files and self._monotonic() >= self._look_at:
            self._look()
        return super().project(authorization)

    def _look(self) -> None:
        self._look_at = self._monotonic() + _LOOK_S
        versions = self._stat()
        if versions == self._versions:
            return
        try:
            self._replace(_projects(self._configs, self._environ))
        except UsageError as error:
            logger.warning("the tokens stay as they are: %s", error)
            return
        self._versions = versions
        logger.info("the tokens were read again from their files")

    def _stat(self) -> list[tuple[int, int, int]]:
        return [_version(file) for file in self._files]


def _version(file: Path) -> tuple[int, int, int]:
    try:
        told = file.stat()
    except OSError:
        return (0, 0, 0)
    return (told.st_mtime_ns, told.st_size, told.st_ino)


def load_tokens(configs: Sequence[TokenConfig], environ: Mapping[str, str]) -> Tokens:
    """Read each token from the config, its file or `environ`; raises UsageError naming the key."""
    return FileTokens(configs, environ)


def _projects(configs: Sequence[TokenConfig], environ: Mapping[str, str]) -> dict[str, str]:
    projects: dict[str, str] = {}
    for index, config in enumerate(configs):
        key = f"receive.tokens[{index}]"
        token = read_token(config, key, environ)
        if token in projects:
            raise UsageError(f"{key}: the same token is bound to {projects[token]!r} already")
        projects[token] = config.project
    return projects


def read_token(config: TokenConfig, key: str, environ: Mapping[str, str]) -> str:
    """Return one token from the config, its file or `environ`; raises UsageError naming `key`."""
    sources = [bool(config.token), bool(config.token_file), bool(config.token_env)]
    if sum(sources) != 1:
        raise UsageError(f"{key}: give one of token, token_file and token_env")
    token = config.token
    if config.token_file:
        try:
            token = Path(config.token_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{key}.token_file: {config.token_file}: {error}") from error
    elif config.token_env:
        token = environ.get(config.token_env, "")
    token = token.strip()
    if not token or any(character.isspace() for character in token):
        raise UsageError(f"{key}: the token is empty or holds white space")
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
