"""``brigade status``: asks a simulator how its run is doing."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from brigade.agent_numbers import format_agents
from brigade.run.keys import passport
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
    """Ask and print; return 1 where there is no answer.

    Raises
    ------
    ConfigError, AddressError, TransportError
        The address or a key is wrong, or the simulator does not let us in.
    """
    papers = passport(config.key, config.server_key)
    sockets = LearnerSockets(Endpoint.parse(config.address), papers)
    try:
        while True:
            report = ask(sockets)
            if report is None:
                print(
                    f"brigade status: no answer from {config.address} within "
                    f"{ANSWER_SECONDS:.0f} s: no simulator listens there, or it is suspended",
                    file=sys.stderr,
                )
                if not config.watch:
                    return 1
            elif config.json:
                print(json.dumps(msgspec.to_builtins(report)), flush=True)
            else:
                print(describe(report), flush=True)
            if not config.watch:
                return 0
            time.sleep(WATCH_SECONDS)
    finally:
        sockets.close()


def ask(sockets: LearnerSockets, timeout: float = ANSWER_SECONDS) -> Report | None:
    """Ask how the run is doing; None where no answer comes in time."""
    sockets.send_control(messages.encode(messages.Ask()))
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for frames in sockets.receive(0.1)[0]:
            try:
                header = messages.decode(frames)[0]
            except BadMessage:
                continue
            if isinstance(header, Report):
                return header
    return None


def describe(report: Report) -> str:
    """Write a report for people."""
    r = report
    lines = [
        f"run {r.run_name} ({r.run}): {r.share:.0%}, {r.episodes:,} episodes, "
        f"{r.transitions:,} transitions in {r.seconds:,.0f} s "
        f"({r.transitions_per_second:,.0f} a second of late), lag {r.lag}"
    ]
    for x in r.learners:
        versions = f"{min(x.versions)}" + (
            f"-{max(x.versions)}" if max(x.versions) > min(x.versions) else ""
        )
        lines.append(
            f"  {x.name}: {format_agents(x.agents)} on {x.device}, version {versions}, "
            f"{max(x.outstanding)} rollouts to learn from, heard {x.silent_seconds:.1f} s ago, "
            f"update {x.learn_seconds:.2f} s after {x.wait_seconds:.2f} s of waiting"
        )
    if r.bad_messages:
        lines.append(f"  {r.bad_messages:,} bad messages were dropped")
    lines += [f"  ! {remark}" for remark in r.remarks]
    return "\n".join(lines)
