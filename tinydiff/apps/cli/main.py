"""The command line: ``tinydiff demo | train | sample | edit | evaluate | ... | export``, or --version.

Each command is a frozen dataclass; its fields are the options. Errors are one sentence on stderr; the exit status
is 2 for a bad argument, 1 for everything else that fails (what nobody has foreseen, too), 130 after Ctrl-C, and 143
after SIGTERM; a training that either of them stopped, and that was saved, exits with 130.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import tyro

import tinydiff
from tinydiff.apps.cli.arena import Arena
from tinydiff.apps.cli.check import Check
from tinydiff.apps.cli.compare import Compare
from tinydiff.apps.cli.demo import Demo
from tinydiff.apps.cli.edit import Edit
from tinydiff.apps.cli.evaluate import Evaluate
from tinydiff.apps.cli.export import Export
from tinydiff.apps.cli.info import Info
from tinydiff.apps.cli.inspect import Inspect
from tinydiff.apps.cli.join import Join
from tinydiff.apps.cli.naming import as_typed
from tinydiff.apps.cli.parsing import one_sentence, parse_options
from tinydiff.apps.cli.sample import Sample
from tinydiff.apps.cli.screen import one_line_warnings, prepare_streams, say, say_refusal, say_unexpected
from tinydiff.apps.cli.serve import Serve
from tinydiff.apps.cli.train import Train, parse_train
from tinydiff.base import InputError, TinydiffError

COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": Demo,
    "train": Train,
    "sample": Sample,
    "evaluate": Evaluate,
    "edit": Edit,
    "join": Join,
    "arena": Arena,
    "serve": Serve,
    "check": Check,
    "info": Info,
    "inspect": Inspect,
    "export": Export,
    "compare": Compare,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    prepare_streams()
    command = None
    try:
        if arguments in (["--version"], ["-V"]):
            say(f"tinydiff {tinydiff.__version__}")
            sys.stdout.flush()
            return 0
        try:
            command = parse(arguments)
        except SystemExit:  # help was printed: whether it could be written is known once it is flushed
            sys.stdout.flush()
            raise
        with sigterm_ends_cleanly(), one_line_warnings():
            command.run()
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except TinydiffError as error:
        sentence = str(error) if command is None else as_typed(str(error), command)
        say_refusal(sentence)
        return 2 if isinstance(error, InputError) else 1
    except MemoryError as error:
        why = f" ({error})" if str(error) else ""
        say_refusal(f"There is not enough memory{why}. Ask for fewer or smaller pictures.")
        return 1
    except BrokenPipeError:  # `tinydiff info | head`, or --help, is no error; a run that stopped for it is not done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0 if command is None or isinstance(command, Info) else 1
    except OSError as error:  # what is printed cannot be written; files have errors of their own
        say_refusal(f"What is said here cannot be written: {error.strerror or error}.")
        with contextlib.suppress(OSError, ValueError):  # it has no number where it was replaced
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # nobody has foreseen it
        say_unexpected(error)
        return 1
    return 0


@contextlib.contextmanager
def sigterm_ends_cleanly() -> Iterator[None]:
    """Let SIGTERM leave as an error does, so that a file that is being written is removed; the exit status is 143.

    So does SIGHUP, the end of the terminal, unless this process was started to ignore it, as by ``nohup``.
    """

    def leave(number, frame):
        raise SystemExit(128 + number)

    before = {}
    with contextlib.suppress(ValueError):  # not in the main thread: signals do not arrive here
        for number in filter(None, (signal.SIGTERM, getattr(signal, "SIGHUP", None))):
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def parse(arguments: list[str]) -> Any:
    """Return the command that the arguments describe."""
    name, *options = arguments or [""]
    if name == "train":
        return parse_train(options)
    if name in COMMANDS:
        return parse_options(COMMANDS[name], options, f"tinydiff {name}")
    # help, or a word that is no command: tyro lists those that there are
    with one_sentence():
        return tyro.extras.subcommand_cli_from_dict(
            COMMANDS, args=arguments, prog="tinydiff", description=tinydiff.__doc__
        )
