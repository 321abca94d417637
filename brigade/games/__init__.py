"""What a game is to the trainer, and the games that there are.

:mod:`spec` describes a game, :mod:`vector` says what it must do when many are played side by side
and what it may do besides, and each kind of game has a module or package of its own here.
:mod:`build` makes a game from its description. Nothing that trains knows a kind of game by name.
"""
