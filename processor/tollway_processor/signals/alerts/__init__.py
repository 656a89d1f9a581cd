"""Alerts: changes of state found, kept, and told to each receiver once."""
