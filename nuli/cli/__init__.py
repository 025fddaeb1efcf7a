"""The command line, `nuli` and `python -m nuli`: main has its arguments, enhance and commands what they do."""
