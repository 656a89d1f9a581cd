"""Own how a run's span ends when its code raised: an error, an early close, or an interrupt."""

from __future__ import annotations

from tollway import attributes as attr
from tollway._span import CallSpan
from tollway.langchain.kinds import GRAPHS, NODE, is_bubble, is_interrupt
from tollway.langchain.runs import Run

COMPLETED = "completed"
CLOSED_EARLY = "closed_early"
CANCELLED = "cancelled"
ABANDONED = "abandoned"


def end_with_error(call: CallSpan, error: BaseException, *, is_request: bool = False) -> None:
    """Say on the span how its code ended.

    Closing a stream early and cancelling a task are the app's own choice, and no error; but a
    request that was given up (is_request) is one: whoever waited for it has no answer.
    """
    if isinstance(error, GeneratorExit):
        call.set(attr.STREAM_OUTCOME, CLOSED_EARLY)
    elif not isinstance(error, Exception) and not is_request:
        call.set(attr.STREAM_OUTCOME, CANCELLED)
    elif is_interrupt(error):
        call.set(attr.LANGGRAPH_INTERRUPTED, True)
    elif not is_bubble(error):
        call.fail(error)


def tell_above(run: Run, error: BaseException) -> None:
    """Leave with the runs above what a run's error means there.

    A graph that stops for a human ends as if it were done; a node that failed may be tried again.
    """
    above = run.parent
    if is_interrupt(error):
        while above is not None:
            if above.kind in GRAPHS and above.call is not None:
                above.call.set(attr.LANGGRAPH_INTERRUPTED, True)
            above = above.parent
    elif run.kind == NODE and above is not None and not is_bubble(error):
        above.note_failure(run.task)
