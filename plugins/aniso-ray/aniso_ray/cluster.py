"""A cluster of Ray: one that is there, or one that is started on this machine, and how its cores are shared out."""

import importlib
import logging
import math
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from aniso_core.errors import AnisoError
from aniso_core.isolation import said
from aniso_core.text import visible
from aniso_ray.actors import Actors, counted

_ALONE = "leave --executor-option address= out to use this machine alone"
_PATIENCE = 5.0  # seconds for a cluster to answer
_LAST_PORT = 2**16 - 1
_CORES = 4  # of a worker where nobody says how many there are
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_SETTINGS = bytes([4])
"""How a connection of gRPC begins, and the kind of frame that its other end begins with."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to anybody
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # of workers that died the run tells in its own words, and not on stdout
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a worker without GPUs sees none; said, or Ray warns of a change
}
"""Settings of Ray, by environment variable, where the user made none."""


@contextmanager
def opened(options: Mapping[str, str]) -> Iterator[Actors]:
    """Yield workers of Ray, gone when the context is left; raises AnisoError where there can be none."""
    count = _number(options, "workers", int)
    threads = _number(options, "threads-per-worker", int)
    gpus = _number(options, "gpus-per-worker", float)
    address = options.get("address")
    ray = _ray(own=address is None)
    if gpus is None:
        gpus = float(_sees_gpu())
    with _connected(ray, address):
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cores = [int(node.get("CPU", 0)) for node in nodes]
        # A share of a GPU is counted as Ray does, to a ten-thousandth: 10 workers of 0.1 fit on one.
        graphics = sum(int(node.get("GPU", 0) / gpus + 1e-4) for node in nodes) if gpus else 0
        if count is None:
            count = graphics or max(sum(cores) // _CORES, min(2, sum(cores)))
        threads = threads or _share(cores, count)
        machines = counted(len(nodes), "machine")
        if not threads or sum(each // threads for each in cores) < count:
            message = (
                f"There is no room for {counted(count, 'worker')} of {counted(threads or 1, 'thread')} on "
                f"{counted(sum(cores), 'core')} of {machines}; ask for fewer with --executor-option workers=N or "
                "threads-per-worker=N."
            )
            raise AnisoError(message)
        # A cluster of others may grow; it is waited for, and said so.
        if address is None and gpus and graphics < count:
            found = counted(sum(node.get("GPU", 0) for node in nodes), "GPU")
            message = (
                f"There is no room for {counted(count, 'worker')} of {counted(gpus, 'GPU')} on {found} of {machines}; "
                "ask for fewer with --executor-option workers=N or gpus-per-worker=N (0: on the CPU)."
            )
            raise AnisoError(message)
        actors = Actors(ray, count, threads, gpus)
        try:
            yield actors
        finally:
            actors.close()


def _share(cores: Sequence[int], workers: int) -> int:
    """Return the most cores that each of so many workers can have, none of them on two machines; 0 where too few."""
    fitting = (each for each in range(max(cores, default=0), 0, -1) if sum(c // each for c in cores) >= workers)
    return next(fitting, 0)


def _number(options: Mapping[str, str], name: str, kind: type[Any]) -> Any:
    """Return an option as a number, None where it was not given; raises AnisoError where it is none."""
    if name not in options:
        return None
    try:
        number = kind(options[name])
    except ValueError:
        number = -1
    if not math.isfinite(number) or number < (kind is int):
        wanted = "a whole number above 0" if kind is int else "a number from 0"
        message = f"Wanted {wanted} for --executor-option {name}=, got {visible(options[name])!r}."
        raise AnisoError(message)
    return number


def _ray(*, own: bool) -> Any:
    """Return Ray, set up to be quiet and, with `own`, for a cluster that lets in the processes of this run alone."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    # Ray listens to the whole network, whoever it lets in runs code, and it reads its guard when it is loaded.
    if own and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        message = "The executor ray needs Ray, which is not installed: pip install 'ray>=2.52'."
        raise AnisoError(message) from error


def _sees_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Be a driver of a cluster; without an address of one that is this process's own."""
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL, "configure_logging": True}
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", address)  # which Ray would take as well
    try:
        if address is not None:
            _require_answer(address)
        with _same_stop():
            if address is None:
                ray.init(address="local", include_dashboard=False, **quiet)
            else:
                ray.init(address=address, **quiet)
    except AnisoError:
        raise
    except Exception as error:
        raise AnisoError(_unusable(address, error)) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _same_stop() -> Iterator[None]:
    """Put back what SIGTERM does when Ray has started: Ray would show where in C++ it came, and exit as a fault."""
    if threading.current_thread() is not threading.main_thread():  # Ray, too, leaves it alone there
        yield
        return
    handler, came = signal.getsignal(signal.SIGTERM), False
    try:
        yield
    except SystemExit as stopped:  # of Ray's handler, where the signal came meanwhile
        came = stopped.code == signal.SIGTERM
        if not came:
            raise
    finally:
        signal.signal(signal.SIGTERM, handler)
    if came:
        signal.raise_signal(signal.SIGTERM)


def _require_answer(address: str) -> None:
    """Raise AnisoError where HOST:PORT does not answer as a cluster would; Ray itself would try for minutes."""
    if address in {"auto", "local"}:
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal() or not 0 < int(port) <= _LAST_PORT:
        message = f"Wanted HOST:PORT or auto for --executor-option address=, got {visible(address)!r}."
        raise AnisoError(message)
    cause, fault = None, "something else listens there"
    try:
        with socket.create_connection((host, int(port)), timeout=_PATIENCE) as line:
            line.sendall(_HELLO)
            if line.recv(9, socket.MSG_WAITALL)[3:4] == _SETTINGS:
                return
    except (OSError, ValueError) as error:  # a name that is none for the network is a ValueError
        cause, fault = error, said(error)
    raise AnisoError(_silent(address, fault)) from cause


def _silent(address: str, fault: str) -> str:
    """Return what to say and do where nobody answers."""
    return (
        f"No cluster of Ray answers at {visible(address)} ({fault}); `ray status` on its head node tells HOST:PORT, or "
        f"{_ALONE}."
    )


def _unusable(address: str | None, error: Exception) -> str:
    """Return what to say and do where Ray cannot be a driver of a cluster; its own words name options of its own."""
    fault = said(error).rstrip(".")
    if address is None:
        return f"Ray can start no cluster on this machine: {fault}; its logs in /tmp/ray say more."
    if address == "auto" and isinstance(error, ConnectionError):
        return (
            "Wanted one cluster of Ray on this machine for --executor-option address=auto, found none or several; "
            f"join one with `ray start`, name one by address=HOST:PORT, or {_ALONE}."
        )
    if isinstance(error, ConnectionError):
        return _silent(address, fault)
    return (
        f"This machine cannot use the cluster of Ray at {visible(address)}: {fault}; join it with "
        f"`ray start --address=HOST:PORT` and the same versions of Python and Ray, or {_ALONE}."
    )
