"""The commands behind `tellvision COMMAND`: each decides nothing and hands over.

flags.py      flags that several commands share, and what they do first and last
running.py    run, draw, verify, doctor            narration.py  import, captions, clips
learning.py   features, pairs, train, evaluate     finding.py    index, search, serve

A function's arguments are the flags of its command, its docstring the help. Heavy imports stay inside
the command that needs them.
"""
