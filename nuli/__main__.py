"""The entry of the command line: `nuli` and `python -m nuli`."""

from __future__ import annotations

from .cli.stop import handle_interrupt


def run() -> None:
    """Run the `nuli` command, deaf to Ctrl-C at no moment, the imports included."""
    handle_interrupt()
    from .cli.main import run as run_main

    run_main()


if __name__ == "__main__":
    run()
