"""A long run: many clients at work for a long time on a backend that is killed again and again.

Client processes (`clients`) play real sessions; `driver` serves, kills by seed, writes as agents,
and says when it is over. All of them write down what they see as they see it (`evidence`), into
files that only grow, so that a run that was cut off goes on later. It is judged afterwards
(`judge`, `memory`) from that and from the database alone.
"""
