"""The Tollway processor: OTLP in, priced traces, route signals and verdicts out."""
