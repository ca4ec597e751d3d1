"""A chart as a machine for XState, a library of state machines in JavaScript: `machine` writes the
file, `changes` says what each row does to what holds, `formulas` writes properties.
"""
