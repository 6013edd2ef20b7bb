"""`python -m pocketlet.demo.standin [--port N] [--key K]`: serve until told to stop or orphaned."""

import argparse
import contextlib
import ctypes
import signal
import sys

from . import wire

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux for a SIGTERM when the thread that started this process ends; others can't be asked."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser(prog="standin", description="A stand-in model server on loopback.")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 lets the system choose")
    parser.add_argument("--key", default=None, help="the only key that is let in; default: any")
    arguments = parser.parse_args()
    die_with_parent()
    with wire.Server(arguments.port, key=arguments.key) as server:
        sys.stdout.write(f"standin listening on http://127.0.0.1:{server.server_port}/v1\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
