"""``brigade status``: asks a simulator how its run is doing."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, ClassVar, NoReturn

import msgspec
from msgspec import Meta
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from brigade import interrupt
from brigade.agent_numbers import ranges
from brigade.printable import printable, shortened
from brigade.run.keys import client_credentials
from brigade.sim.view import duration
from brigade.wire import messages
from brigade.wire.endpoints import Endpoint
from brigade.wire.messages import BadMessage, Report
from brigade.wire.transport import LearnerSockets

ANSWER_SECONDS = 5.0
WATCH_SECONDS = 2.0


class StatusConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to ask, and how to show the answer."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("address",)

    address: Annotated[str, Meta(description="the simulator's address, tcp://HOST:PORT")]
    json: Annotated[bool, Meta(description="one line of JSON")] = False
    watch: Annotated[bool, Meta(description="again every two seconds, until Ctrl-C")] = False
    key: Annotated[str | None, Meta(description="our private key file")] = None
    server_key: Annotated[
        str | None, Meta(description="the simulator's public key, or a file with it")
    ] = None


def run_status(config: StatusConfig) -> int:
    """Ask and print; return 2 where there is no answer.

    Raises
    ------
    ConfigError, AddressError, TransportError
        The address or a key is wrong, or the simulator does not let us in.
    """
    credentials = client_credentials(config.key, config.server_key)
    sockets = LearnerSockets(Endpoint.parse(config.address), credentials)
    console = Console()
    try:
        animated = console.is_terminal and not console.is_dumb_terminal
        if config.watch and animated and not config.json:
            _watch(sockets, console)
        while True:
            report = ask(sockets)
            if isinstance(report, str):
                print(f"brigade status: {printable(report)}", file=sys.stderr)
            elif config.json:
                print(json.dumps(msgspec.to_builtins(report)), flush=True)
            else:
                console.print(describe(report))
            if not config.watch:
                return 2 if isinstance(report, str) else 0
            interrupt.sleep(WATCH_SECONDS)
    finally:
        sockets.close()


def _watch(sockets: LearnerSockets, console: Console) -> NoReturn:
    """Show the newest answer, written over the one before, until Ctrl-C."""
    shown: RenderableType = ""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            report = ask(sockets)
            if isinstance(report, str):
                live.update(
                    Group(shown, Text(f"! {printable(report)}", style="bold red")), refresh=True
                )
            else:
                shown = describe(report)
                live.update(shown, refresh=True)
            interrupt.sleep(WATCH_SECONDS)


def ask(sockets: LearnerSockets, timeout: float = ANSWER_SECONDS) -> Report | str:
    """Ask how the run is doing; where no answer comes in time, a sentence that says so."""
    nowhere = sockets.reach()
    if nowhere:
        return nowhere
    sockets.send_control(messages.encode(messages.Ask()))
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        interrupt.check()
        for frames in sockets.receive(0.1)[0]:
            try:
                header = messages.decode(frames)[0]
            except BadMessage:
                continue
            if isinstance(header, Report):
                return header
    return (
        f"no answer from {sockets.endpoint.control} within {timeout:.0f} s: "
        "no simulator listens there, or it is suspended"
    )


def describe(report: Report) -> RenderableType:
    """Show a report to people: the run, a row for each learner, and what is slow or gone."""
    r = report
    bad = "" if not r.bad_messages else f"  {r.bad_messages:,} bad messages dropped"
    run = Text.assemble(
        ("run ", "dim"), (r.run_name, "bold"), (f"  {r.run}", "dim"), f"  {r.share:.1%} done"
    )
    figures = Text(
        f"{r.episodes:,} episodes  {r.transitions:,} transitions  {duration(r.seconds)}\n"
        f"{r.transitions_per_second:,.0f} transitions/s of late  lag {r.lag}{bad}"
    )
    learners = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("learner", "agents", "device"):
        learners.add_column(name, overflow="fold")
    for name in ("version", "to learn", "heard", "update", "wait"):
        learners.add_column(name, justify="right", no_wrap=True)
    for x in r.learners:
        learners.add_row(
            *(Text(each) for each in (shortened(x.name), ranges(x.agents), x.device)),
            "-".join(f"{v}" for v in sorted({min(x.versions), max(x.versions)})),
            f"{max(x.outstanding)}",
            f"{x.silent_seconds:.1f} s",
            f"{x.learn_seconds:.2f} s",
            f"{x.wait_seconds:.2f} s",
        )
    remarks = Table.grid(padding=(0, 1))
    for remark in r.remarks:
        remarks.add_row(Text("!", style="bold red"), Text(remark, style="yellow"))
    return Group(run, figures, *([learners] if r.learners else []), remarks)
