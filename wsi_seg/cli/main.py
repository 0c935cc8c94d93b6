"""The entry point of `wsi-seg`: exit codes and error messages, whatever happens.

Nothing heavy is imported before signals are handled.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import Any

from wsi_seg.cli import garbage, signals
from wsi_seg.cli.streams import forgiving, trouble
from wsi_seg.cli.terminal import say
from wsi_seg.errors import UsageError, WsiSegError
from wsi_seg.process import silent
from wsi_seg.shortage import Shortage, check_memory, shortage


def main() -> None:
    """Run the program; on errors, end with one line and an exit code."""
    signals.watch()
    garbage.while_importing()
    with forgiving() as output:
        code = _run()
        output.flush()
        if output.error is not None:
            code = _failed(trouble(output.error), code or 1)
    ended = signals.leave()
    # Connections that are lost meanwhile end with the interpreter, and have no news to tell. This process is
    # the program's own: nothing is put back.
    ExitStack().enter_context(silent("distributed", "tornado"))
    garbage.at_the_end()
    sys.exit(code if ended is None else ended)


def _run() -> int:
    try:
        import logging
        import warnings

        check_memory()
        from wsi_seg.cli.commands import app

        # When one of several writes fails, we report its error; these loggers would print the others'
        # tracebacks.
        for name in ("asyncio", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        # A signal may also end calls of Dask that were just to be made: nothing that users can act on.
        warnings.filterwarnings("ignore", r"coroutine '.*' was never awaited", RuntimeWarning)
        # Without a folder for its cache, as without a home, it takes a temporary one and prints three lines.
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        for given in sys.argv[1:]:
            if given != given.encode(errors="replace").decode():
                raise UsageError(f"{given}: is not UTF-8: rename the file or the folder")
        code: int | None = app(standalone_mode=False)
    except SystemExit as end:  # of completion in the shell
        return int(end.code or 0)
    except WsiSegError as error:
        lack = shortage(error)  # for memory, the error itself may know better: the data may need too much
        return _failed(str(error) if lack in {None, Shortage.MEMORY} else str(lack), error.exit_code)
    except KeyboardInterrupt:
        return 130
    except ImportError as error:
        from wsi_seg.packages import ImportFault

        _trace()
        fault = ImportFault.of(error)
        return _failed(shortage(error) or f"{fault.package} {fault.says}", 1)
    except Exception as error:  # the last resort: no traceback reaches a user
        said = _of_arguments(error)
        if said is not None:
            return _failed(said, UsageError.exit_code) if said else UsageError.exit_code
        _trace()
        return _failed(
            shortage(error)
            or f"internal error ({type(error).__name__}: {error}): please report it; "
            "WSI_SEG_DEBUG=1 shows where it happened",
            1,
        )
    return code or 0


def _of_arguments(error: Exception) -> str | None:
    """Return what typer says of arguments that it cannot parse; it would draw a box of five lines.

    It is empty where there were no arguments, and typer has shown the help.
    """
    import typer

    (parsing,) = typer.BadParameter.__bases__  # typer does not export its name
    if not isinstance(error, parsing):
        return None
    fault: Any = error
    said = str(fault.format_message()).rstrip(".")
    command = fault.ctx.command_path if fault.ctx is not None else "wsi-seg"
    return f"{said}: see `{command} --help`" if said else ""


def _trace() -> None:
    """Print the traceback of an unforeseen error, if the environment asks for it."""
    if os.environ.get("WSI_SEG_DEBUG"):
        import traceback

        traceback.print_exc()


def _failed(message: str, code: int) -> int:
    # Other writes that were running are torn down with the interpreter; their messages about that add
    # nothing.
    sys.unraisablehook = lambda _: None
    if not signals.received():  # else it is a consequence of the signal
        say(f"wsi-seg: {' '.join(message.split())}", err=True)
    return code
