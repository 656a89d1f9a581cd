"""An evaluation for people: a terminal table, Markdown for a pull request, one page of HTML.

What is said is decided elsewhere (statistics); here is only how it is shown.
"""

from tollway_processor.signals.report.document import Example, Report
from tollway_processor.signals.report.markdown import markdown
from tollway_processor.signals.report.page import html
from tollway_processor.signals.report.terminal import table

__all__ = ["Example", "Report", "html", "markdown", "table"]
