"""The manual page of the command line is what the commands say."""

from __future__ import annotations

from controller.cli.reference import PAGE, commands, page


def test_the_committed_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == page(), "run `python -m controller.cli.reference`"


def test_every_command_and_option_is_described_and_has_an_example() -> None:
    found = dict(commands())
    assert len(found) > 25
    for name, command in found.items():
        assert command.help, name
        assert f"{name} " in f"{command.epilog} ".replace("\n", " "), name
        for each in command.params:
            assert each.name == "help" or each.help, (name, each.name)
        assert "--json" in {word for each in command.params for word in each.opts}, name
