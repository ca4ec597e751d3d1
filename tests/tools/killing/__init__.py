"""Rounds in which a served backend dies by SIGKILL under live clients, and the judge of what they
leave behind.

A *round* is a seed: a plan of who calls what (`plans`), a kill at a chosen moment of a chosen
request (`killer`), clients that go on as people do (`clients`, `rounds`), and what was seen
meanwhile (`evidence`). It is judged afterwards (`judge`) from that and from the database alone
(`stored`). `sabotage` serves backends that are broken on purpose, so that the judge is judged too.
"""
