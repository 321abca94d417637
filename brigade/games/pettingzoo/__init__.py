"""PettingZoo environments as lanes, whatever their spaces and whenever their agents come and go.

:mod:`finding` turns a text or a function into a maker of environments, :mod:`observations` and
:mod:`actions` turn what an environment says and hears into rows and back, :mod:`roles` groups its
agents, and :mod:`description` puts these together. :mod:`game` has what every game needs,
:mod:`parallel_game` and :mod:`turn_game` play one of each kind, and :mod:`side_by_side` plays many,
in :mod:`arrays` that processes can share. :mod:`workers` starts such processes, each of which runs
:mod:`worker`, and :mod:`messages` are what they tell one another.
"""
