"""What each command of `tollway` does; cli.py reads the command line and maps errors to exits."""
