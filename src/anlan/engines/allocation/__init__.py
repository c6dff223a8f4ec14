"""Allocation (调度): who or what goes where when there is not enough, with a bound on how much better any plan could be.

    transport.solve    many groups, few places, whole units, exact: the core of the two below
    sheltering         people to shelters: rooms, solve, waves
    trips              which truck drives when with what: loads, shifts, several trips
    dispatch           goods from depots to needs, past transfer points and as stand-ins: Task, solve, judge (a person's plan by the same rules), by_hand, why_unmet, difference

No Django, no network, no clock but the CPU's; the same question has the same answer.
"""
