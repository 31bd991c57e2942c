"""A Spark cluster as a source: tables of its catalog, read by Spark SQL."""

import gc
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

from salesops import checks
from salesops.crm.connection import Fault, Warehouse, common_fault, passing, refusal

CONNECT_SECONDS = 30
_RETRIES = 5  # of a call that gets no answer: some fifteen seconds; the run's own retries come after
_PORTS = {"sc": 15002, "spark": 7077}
_LOCAL = "local"
# Set where the session is ours: one task at a time keeps rows in order, and nothing but errors is said.
_OURS = {
    "spark.app.name": "salesops",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
    "spark.sql.shuffle.partitions": "1",
}
_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")


@contextmanager
def connected(address: str, *, label: str, seconds: int) -> Iterator[Warehouse]:
    """A session on the cluster at an address: ``sc://host`` (Spark Connect), ``spark://host:7077``, ``spark://local``.

    ``spark://`` takes settings after a question mark (``?spark.sql.warehouse.dir=…``). Spark has no read-only mode:
    that nothing but one SELECT runs is seen to before it runs.

    Raises
    ------
    DataError
        The cluster cannot be reached.
    ParameterError
        The address cannot be read.
    """
    import ibis

    _probe(address, label)
    _hush()
    session, is_ours = _session(address, label)
    try:
        with _reached(label):
            session.conf.set("spark.sql.runSQLOnFiles", "false")
            backend = ibis.pyspark.connect(session)
            tables = tuple(sorted(backend.list_tables()))
        yield Warehouse(
            backend=backend,
            label=label,
            tables=tables,
            seconds=seconds,
            schema=lambda _: None,
            fetch=lambda expression: backend.raw_sql(backend.compile(expression)).toArrow(),
            interrupt=session.interruptAll,
            fault=_fault,
        )
    finally:
        if is_ours:
            gc.collect()  # PySpark stumbles over answers that are let go while it stops
            session.stop()


def _probe(address: str, label: str) -> None:
    """Whether anything answers at the address: Spark's own clients would try for many minutes."""
    scheme, _, rest = address.partition("://")
    places = rest.partition("?")[0].partition("/")[0].partition(";")[0].split(",")
    if places == [""]:
        raise refusal(Fault("address", "the host"), label)
    if places[0].startswith(_LOCAL + "[") or places[0] == _LOCAL:
        return
    for place in places:
        host, _, port = place.rpartition(":") if place.rpartition(":")[2].isdigit() else (place, ":", _PORTS[scheme])
        try:
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
            return
        except (OSError, OverflowError, UnicodeError):
            continue
    fault = Fault("unreached")
    raise refusal(fault, label) from passing(fault)


def _session(address: str, label: str) -> tuple[Any, bool]:
    """A session of our own, and whether its connection is ours to end."""
    from pyspark.sql import SparkSession

    if address.startswith("sc://"):
        return _remote(address, label), True
    place, _, settings = address.removeprefix("spark://").partition("?")
    master = {_LOCAL: "local[1]"}.get(place, place if place.startswith(_LOCAL + "[") else f"spark://{place}")
    running = SparkSession.getActiveSession()
    if running is not None:
        return _beside(running, master, label), False
    with _reached(label):
        return SparkSession.builder.master(master).config(map=_OURS | dict(parse_qsl(settings))).getOrCreate(), True


def _remote(address: str, label: str) -> Any:
    """A session by Spark Connect; the usual builder would tell this process and its children that Spark is remote."""
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession as Remote

    with _reached(label):
        session = Remote.builder.remote(address).create()
        session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
        return session


@contextmanager
def _reached(label: str) -> Iterator[None]:
    """What keeps a session from being opened, in our words."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        is_told = any(word in str(error) for word in ("UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_CONNECT_URL"))
        fault = Fault("address", "a part") if is_told else Fault("unreached")
        raise refusal(fault, label) from passing(fault)


def _beside(running: Any, master: str, label: str) -> Any:
    if running.sparkContext.master != master:
        raise checks.ParameterError(f"{label}: names another cluster than the session that is open. Close that first.")
    return running.newSession()


def _hush() -> None:
    """PySpark logs every failing query with all it knows; what failed is said by us."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _fault(error: BaseException) -> Fault | None:
    from py4j.protocol import Py4JError
    from pyspark.errors import AnalysisException, ParseException, PySparkException

    if not isinstance(error, PySparkException | Py4JError):
        return common_fault(error)
    said = (str(error).splitlines() or [""])[0]
    if "cancel" in said.casefold():
        return Fault("slow")
    if "UNAVAILABLE" in str(error) or isinstance(error, Py4JError):
        return Fault("unreached")
    is_plain = isinstance(error, AnalysisException | ParseException) and ":/" not in said
    return Fault("query", said if is_plain else "Spark could not run it")
