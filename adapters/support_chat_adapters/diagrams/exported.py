"""The whole chart as stable JSON, and back: for other checkers, for a review of what changed, for a
chart in another language.

The document (`"schema": "support-chat/chart"`, `"version": 2`) is one object with the attributes of
a `Chart` as keys, and one entry of the long ones a line:

- `name`, `initial`, `named`, `late`: a name each (or null); `phases`, `triggers`, `external`,
  `registers`: lists of names;
- `composites`: objects with `name`, `doc`, `phases` or `fact`, `within`, and what every row that
  begins (`entry`) or ends it (`exit`, `clears`, `assigns`) does;
- `events`: trigger to lane; `naming`: a list of triggers; `carries`: trigger to what it may bring
  along, facts and the register `named` (or null: what the rows read);
- `facts`: name to `{"kind", "doc"}`, and `left`, `right` or `register`;
- `effects`: name to `{"kind", "doc"}` and what the kind declares (`success`, `failure`, `limit`,
  `slot`, `timer`, `expiry`...);
- `transitions`: objects with `name`, `group`, `trigger`, `sources`, `target`, `when`, `unless`,
  `sets`, `clears`, `assigns`, `effects`, `error` (`{"error", "message"}`) and `reason`; only
  `target` may be null;
- `ignored`: objects with `triggers`, `phases`, `because`.

The rows are complete: entries and exits are written out, and so is `late` in the guards, as every
row of an outcome or an event wants it not to be. What is null, false or empty is left out, but for
what an effect must declare, and for a transition's `target`.

A reader refuses a `version` that it does not know; the version changes when a key changes its
meaning or goes away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import attrs

from support_chat import Chart, ChartError, SupportChatError, Transition, errors
from support_chat.chart import model
from support_chat.chart.model import Composite, Ignored, Refusal

SCHEMA: Final = "support-chat/chart"
VERSION: Final = 2


def to_json(chart: Chart) -> str:
    """The chart as JSON text; the same chart always gives the same text, and one changed entry
    changes one line.
    """
    document: dict[str, Any] = {"schema": SCHEMA, "version": VERSION}
    for field in (field for field in attrs.fields(Chart) if field.init):
        value = getattr(chart, field.name)
        match field.name:
            case "facts" | "effects":
                document[field.name] = {str(name): specified(spec) for name, spec in value.items()}
            case "transitions":
                document[field.name] = [_row(row, chart) for row in value]
            case "ignored" | "composites":
                document[field.name] = [_filled(_declared(entry)) for entry in value]
            case "semantics":
                pass
            case _:
                document[field.name] = _plain(value)
    return (
        "{\n"
        + ",\n".join(f'"{key}": {_spread(value)}' for key, value in document.items())
        + "\n}\n"
    )


def from_json(text: str) -> Chart:
    """The chart that `to_json` wrote, checked again. Raises ChartError for what is not such a
    document, or a faulty chart.
    """
    try:
        document = json.loads(text)
        if (document["schema"], document["version"]) != (SCHEMA, VERSION):
            raise ChartError(
                f"The document is {document['schema']!r} version {document['version']!r}, not "
                f"{SCHEMA!r} version {VERSION}: "
                "export it again with this version of support-chat."
            )
        document["composites"] = [Composite(**part) for part in document["composites"]]
        document["facts"] = {name: _made(spec) for name, spec in document["facts"].items()}
        document["effects"] = {name: _made(spec) for name, spec in document["effects"].items()}
        document["transitions"] = [
            _transition(row, document["late"]) for row in document["transitions"]
        ]
        document["ignored"] = [Ignored(**entry) for entry in document["ignored"]]
        return Chart(
            **{key: value for key, value in document.items() if key not in ("schema", "version")}
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChartError(
            f"This is no exported chart ({error!r}): write one with `support-chat export`."
        ) from error


def specified(spec: Any) -> dict[str, Any]:
    """What a kind of fact or an effect declares, as it stands in the document."""
    kind = spec.__class__
    must = {field.name for field in attrs.fields(kind) if field.default is attrs.NOTHING}
    said = {name: value for name, value in _declared(spec).items() if value or name in must}
    return {"kind": re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(), **said}


_Data: TypeAlias = "Mapping[str, _Data] | tuple[_Data, ...] | str | bool | None"


def _plain(value: _Data) -> Any:
    """The value without enums and tuples, so that JSON holds bare names."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _declared(value: Any) -> dict[str, Any]:
    """The attributes of a value, but for the functions beside its names."""
    kind = value.__class__
    fields = [field for field in attrs.fields(kind) if "code" not in field.metadata]
    return {field.name: _plain(getattr(value, field.name)) for field in fields}


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _made(spec: Mapping[str, Any]) -> Any:
    """The fact kind or effect spec whose class in `chart.model` has this name; the classes are the
    schema.
    """
    kind = getattr(model, "".join(word.capitalize() for word in spec["kind"].split("_")))
    return kind(**{key: value for key, value in spec.items() if key != "kind"})


def _row(row: Transition, chart: Chart) -> dict[str, Any]:
    late = chart.late
    if late and late not in row.when and not chart.superseding.isdisjoint(row.trigger):
        row = attrs.evolve(row, unless=(*row.unless, late))
    values = {**_declared(attrs.evolve(row, error=None)), "error": None}
    if row.error:
        values["error"] = {"error": row.error.error.__name__, "message": row.error.message}
    return {"target": None, **_filled(values)} if row.target is None else _filled(values)


def _transition(row: Mapping[str, Any], late: str | None) -> Transition:
    row = {**row, "unless": [fact for fact in row.get("unless", ()) if fact != late]}
    if (refusal := row.get("error")) is None:
        return Transition(**row)
    kind = getattr(errors, refusal["error"], None)
    if not (isinstance(kind, type) and issubclass(kind, SupportChatError)):
        raise ChartError(
            f"{row['name']}: {refusal['error']!r} is not an error of support_chat: use one of "
            "support_chat.errors."
        )
    values: dict[str, Any] = {**row, "error": Refusal(kind, refusal["message"])}
    return Transition(**values)


def _spread(value: dict[str, Any] | list[Any] | str | None) -> str:
    """Maps and lists of objects take a line for each entry, everything else is short."""
    if isinstance(value, dict) and value:
        return (
            "{\n"
            + ",\n".join(f"  {_short(key)}: {_short(item)}" for key, item in value.items())
            + "\n}"
        )
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"  {_short(entry)}" for entry in value) + "\n]"
    return _short(value)


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
