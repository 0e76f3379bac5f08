"""postfleet: the operator's command line.

    main        puts the groups together; `postfleet` calls it
    command     what every command has: connection, --json, one place for errors
    exits       exit codes
    failure     a user's mistake or a controller's refusal, in words
    connection  the channel to the controller and its errors
    output      tables for people, JSON for programs
    groups      one module for each group of commands
    input       reads messages to submit, from files of several formats
    submission  hands messages over, with resumption
    reference   writes docs/reference/cli.md

Starts fast: nothing imports gRPC, rich or the controller's own parts before a command needs it.
"""
