"""Rounds in which a client's process dies by SIGKILL with a call under way, others take its storage
over, and the judge of what is there then.

A *round* is a seed: a plan of who calls what and when the process dies (`plans`). What happens in
the processes is `lives`, told line by line; `rounds` starts and ends them, on a real storage and a
served backend, and writes down what is left (`evidence`), which is judged afterwards (`judge`).
`sabotage` has clients and storages that are broken on purpose, so that the judge is judged too.
"""
