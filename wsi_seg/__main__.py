"""`wsi-seg` and `python -m wsi_seg`: signals are handled before anything else of ours is imported.

`wsi_seg.cli.signals` takes over once it is imported.
"""

import os
import signal

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def main() -> None:
    """Run the program; it ends the process."""
    for name in SIGNALS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, _end)

    from wsi_seg.cli.main import main as run

    run()


def _end(number: int, _: object) -> None:
    name = "" if number == signal.SIGINT else f" ({signal.Signals(number).name})"
    try:
        if os.environ.get("LOCAL_RANK", "0") == "0":  # else this process helps another, which reports
            os.write(2, f"wsi-seg: interrupted{name}: run the same command again\n".encode())
    finally:
        os._exit(128 + number)


if __name__ == "__main__":
    main()
