"""Foresight: the controller's own decisions, made over months in virtual time. Pure.

    scenario        what an operator may write: mail that comes, how receivers are, what happens
    scenario_file   reads it (YAML); every mistake at once, with its line
    samples/        scenarios that come with the program
    fleet           the inventory as the planner sees it: mailboxes, states, warm-ups
    campaigns       when their mail comes, and when they are through
    mail            what waits: their messages in heaps of equal ones
    receivers       the model: what providers take, refuse, and think of us
    receivers_shipped   those that a scenario does not describe itself
    words           the replies in which they refuse
    delivery        attempts, what receivers answer, and what becomes of it
    responses       what follows from their words: stops, slow-downs, breakers
    tallies, health what receivers said of each sender, and the verdicts on them
    counter         counts what was sent against the caps, on its own
    series          what is remembered of each day
    run             the loop over the hours
    parts, cores    client by client, at the same time
    simulate        the whole
    plot            the result as a picture (SVG)

Decided by the controller's code: slots, windows, limits and the choice of mailbox
(controller.planner), warm-ups (planner.warm_up), what replies mean (replies, shaping), slow-downs
and breakers (throttle), verdicts (health). Modelled here: the receivers, and the shells around
those decisions that are SQL in the controller.
"""
