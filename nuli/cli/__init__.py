"""The command line: `nuli` and `python -m nuli`."""
