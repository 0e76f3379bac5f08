"""./run chaos: breaks a whole fleet in every way there is while mail flows, and judges what came.

One fleet is brought up (as by ./run demo, with short leases); on it the scenarios are played one
after the other. Each is judged by the receivers' records, the proxies' own log, conntrack in the
router between, and the ledger in PostgreSQL. docs/chaos.md says how to read the table.

Exit codes: 0 everything holds; 1 something does not; 2 wrong options, or the fleet did not come up;
3 what was played holds, and some scenarios could not be played on this machine; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.markup import escape

from lab.chaos.catalogue import BY_NAME, SCENARIOS, Scenario
from lab.chaos.facts import Score
from lab.chaos.ground import Ground
from lab.chaos.options import Options, parse
from lab.chaos.play import Player
from lab.chaos.report import print_score, print_table, write_json
from lab.demo.phases import Phases
from lab.demo.program import DIFFERS, HOLDS, run_on_lab

_NOT_ALL_PLAYED = 3  # and what was played holds


def main(argv: list[str] | None = None) -> int:
    """Plays the scenarios; returns the exit code."""
    options = parse(argv, __doc__ or "", list(BY_NAME))
    console = Console()
    if options.list:
        for scenario in SCENARIOS:
            console.print(f"[bold]{scenario.name}[/]\n    {escape(scenario.does)}", soft_wrap=True)
        return HOLDS
    return run_on_lab(
        "chaos", console, options.name, options.keep, lambda phases: _run(options, phases)
    )


def _run(options: Options, phases: Phases) -> int:
    scores: list[Score] = []
    ground: Ground | None = None
    try:
        ground = Ground.up(options, phases)
        _play(ground, options, phases, scores)
        return verdict(scores)
    finally:
        if ground is not None:
            ground.close()
        if scores:
            print_table(scores, phases.console)
        if options.json:
            write_json(scores, options.json)


def _play(ground: Ground, options: Options, phases: Phases, scores: list[Score]) -> None:
    """Adds a score for each, so that what was played is told also when something breaks."""
    player = Player(ground, options.rounds, options.rate)
    chosen = [BY_NAME[name] for name in options.only] or SCENARIOS
    for scenario in chosen:
        score = _play_one(player, scenario, phases)
        if score.only_late and options.once_more:
            score = replace(score, played_again=True)
        print_score(score, phases.console)
        scores.append(score)
        if score.played_again:
            scores.append(_play_one(player, scenario, phases))
            print_score(scores[-1], phases.console)
    with phases.phase("Judge all mail once more") as phase:
        scores.append(player.afterwards(lambda text: phase.show("step", 0, None, text)))
    print_score(scores[-1], phases.console)


def _play_one(player: Player, scenario: Scenario, phases: Phases) -> Score:
    with phases.phase(scenario.name) as phase:
        score = player.play(scenario, lambda text: phase.show("step", 0, None, text))
        phase.note = f"{score.accepted:,} messages" + (", all holds" if score.holds else "")
    return score


def verdict(scores: Sequence[Score]) -> int:
    """The exit code. What was only late and was played again counts by its second play."""
    if any(score.wrong or (score.late and not score.played_again) for score in scores):
        return DIFFERS
    return _NOT_ALL_PLAYED if any(score.impossible for score in scores) else HOLDS


if __name__ == "__main__":
    sys.exit(main())
