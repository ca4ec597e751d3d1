"""Stories of a composition, led step for step on real sessions with the real backend.

Whatever a session asks of the world waits at a gate (`gates`) until the story lets it arrive, lets
its answer through, or loses it; so do the backend's events, and the session's timers. A `tab` is
such a session and does its part of a story; what places do by themselves, and what is judged in the
end, is a `stage`: one for who is who (`identity`), one for messages (`delivery`). The story chooses
the order, and nothing else is made up.
"""
