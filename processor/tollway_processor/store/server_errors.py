"""What a ClickHouse server's failures mean: worth a retry, or a statement that it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3 import exceptions as urllib3

from tollway_processor.errors import RetryableError, StoreError
from tollway_processor.store.engine import RETRYABLE_CODES

# Besides the engine's own: read-only (164, 774), no such table or database (60, 81), no such user
# or right (516, 497), replica trouble (999, 319): an operator mends these, senders keep the spans.
_MENDABLE_CODES = RETRYABLE_CODES | {60, 81, 164, 319, 497, 516, 774, 999}
_DELAY_S = 2.0
_CHARACTERS = 300


class ConnectionLostError(RetryableError):
    """The connection to the server broke: what was sent may or may not be stored."""


@contextmanager
def told_by_the_server() -> Iterator[None]:
    """Turn the client's errors into StoreError, or RetryableError where the cause may pass."""
    try:
        yield
    except (ClickHouseError, urllib3.HTTPError, OSError) as error:
        raise _meaning(error) from error


def _meaning(error: Exception) -> StoreError | RetryableError:
    code = getattr(error, "code", None)
    if code:
        message = f"the ClickHouse server: {str(error).splitlines()[0][:_CHARACTERS]}"
        if code in _MENDABLE_CODES:
            return RetryableError(message, delay_s=_DELAY_S)
        return StoreError(message, code=code)
    causes = list(_causes(error))
    if any(isinstance(cause, urllib3.ReadTimeoutError) for cause in causes):
        return RetryableError("the ClickHouse server did not answer in time", delay_s=_DELAY_S)
    # The innermost names the fault; the outer ones quote the whole URL.
    told = next((str(cause) for cause in reversed(causes) if str(cause)), type(error).__name__)
    message = f"the ClickHouse server cannot be reached: {told[:_CHARACTERS]}"
    return ConnectionLostError(message, delay_s=_DELAY_S)


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
