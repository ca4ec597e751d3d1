"""Pictures of a chart, made from the chart alone: Mermaid, Graphviz dot, SVG, Markdown and JSON.

A *view* (`views`) turns a chart into one `Drawing` (`drawing`), a *writer* (`mermaid`, `dot`,
`svg`) turns that into text. The tables (`table`, `calls`) and the JSON (`exported`) are written
from the chart itself. `gallery` is everything that a directory of diagrams holds, and says whether
it is still fresh.
"""
