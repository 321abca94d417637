"""What ``brigade status`` shows, and what it says where nobody answers."""

from __future__ import annotations

import io
import json
import signal

from msgspec.structs import replace
from rich.console import Console

from brigade.cli import main
from brigade.run.status import describe
from brigade.wire.messages import LearnerReport, Report

from .processes import SMALL, brigade, free_base_port, wait_for

REPORT = Report(
    run="96a91a50c2359edb", run_name="a-run", share=0.125, episodes=125_000,
    transitions=24_000_000, seconds=7_384.0, transitions_per_second=3_249.6, lag=1, free=[8],
    bad_messages=2,
    learners=[
        LearnerReport(
            name="gpu-box-with-a-long-name.cluster.example.org-12345", device="cuda:0",
            agents=list(range(8)), versions=[467] * 7 + [468], outstanding=[1] * 8,
            silent_seconds=0.3, learn_seconds=1.87, wait_seconds=0.05,
        )
    ],
    remarks=["agent 8 has no learner and the run waits for one, which is to be had by nobody"],
)  # fmt: skip


def shown(report: Report, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(describe(report))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_report_is_readable_in_a_terminal_of_80_columns() -> None:
    text = shown(REPORT)
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines), text
    assert lines[0] == "run a-run  96a91a50c2359edb  12.5% done"
    assert "2 h 03 min" in text
    assert "3,250 transitions/s of late" in text
    row = next(line for line in lines if "cuda:0" in line)
    assert row.split()[1:] == [
        "0-7",
        "cuda:0",
        "467-468",
        "1",
        "0.3",
        "s",
        "1.87",
        "s",
        "0.05",
        "s",
    ]
    assert any(line.startswith("! agent 8 has no learner") for line in lines)


def test_markup_in_a_learners_name_is_text() -> None:
    learner = replace(REPORT.learners[0], name="[red]x[/]")
    named = replace(REPORT, learners=[learner])
    assert "[red]x[/]" in shown(named)


def test_it_watches_a_run_until_it_is_told_to_stop(tmp_path) -> None:
    address = f"tcp://127.0.0.1:{free_base_port()}"
    with (
        brigade(tmp_path, "sim", *SMALL, "--bind", address, "--run-name", "watched") as sim,
        brigade(tmp_path, "status", address, "--watch", "--json") as watch,
    ):
        wait_for(lambda: watch.output.count('"report"') >= 2, lambda: sim.output + watch.output)
        watch.popen.send_signal(signal.SIGINT)
        assert watch.end() == 130
    assert "Traceback" not in watch.output
    reports = [json.loads(line) for line in watch.output.splitlines() if line.startswith("{")]
    assert reports[-1]["run_name"] == "watched"
    assert reports[-1]["free"] == [0, 1, 2, 3]


def test_nobody_who_answers_is_one_line(capsys) -> None:
    address = f"tcp://127.0.0.1:{free_base_port()}"
    assert main(["status", address]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"brigade status: no answer from {address} within 5 s: ")
    assert len(said.splitlines()) == 1
