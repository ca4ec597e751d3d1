"""The OpenAPI and AsyncAPI documents: they are what the code says, they are valid, and what the
code makes fits their schemas.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import msgspec
import openapi_spec_validator
import pytest
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    NetworkError,
    RateLimitedError,
    SupportChatError,
    VisitorEndedError,
)
from support_chat_adapters.cli import main
from support_chat_adapters.transport.wire import frames, payloads
from support_chat_adapters.transport.wire.closing import TERMINAL, CloseCode
from support_chat_adapters.transport.wire.documents import documents
from support_chat_adapters.transport.wire.endpoints import BASE, ENDPOINTS
from support_chat_adapters.transport.wire.problems import CODES, codes_of, response_to

Printed = pytest.CaptureFixture[str]

OPENAPI: dict[str, Any] = json.loads(documents()["openapi.json"])
ASYNCAPI: dict[str, Any] = json.loads(documents()["asyncapi.json"])

MESSAGE = payloads.MessagePayload(
    id="message-1", conversation_id="conversation-1", author="agent", text="Hello", created_at=1.5
)
FRAMES: tuple[frames.Frame, ...] = (
    frames.Hello(cursor="3"),
    frames.Hello(cursor="3", gap=True, unread=2),
    frames.MessageCreated(message=MESSAGE, cursor="4", unread=1),
    frames.MessageCreated(message=MESSAGE, cursor="5", unread=None, own=True),
    frames.ConversationRead(conversation_id="conversation-1", up_to="message-1"),
    frames.OwnerHasChanged(),
    frames.TokenHasExpired(),
    frames.SessionEnded(reason="revoked"),
    frames.Ping(),
    frames.Pong(),
)


def schema_of(
    document: dict[str, Any], reference: dict[str, str]
) -> jsonschema_rs.Draft202012Validator:
    """The validator of what `reference` of this document points to."""
    return jsonschema_rs.Draft202012Validator({**reference, "components": document["components"]})


def references_in(node: object) -> list[str]:
    """Every `$ref` below a node."""
    if isinstance(node, dict):
        below = cast("dict[str, object]", node)
        here = [str(value) for key, value in below.items() if key == "$ref"]
        return here + [found for value in below.values() for found in references_in(value)]
    if isinstance(node, list):
        return [found for value in cast("list[object]", node) for found in references_in(value)]
    return []


def pointed_at(document: dict[str, Any], reference: str) -> Any:
    """What a local reference points to; raises KeyError if there is nothing."""
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


@pytest.mark.parametrize("name", sorted(documents()))
def test_the_documents_that_travel_with_the_package_are_what_the_code_says(name: str) -> None:
    shipped = (
        resources.files("support_chat_adapters.transport.wire").joinpath(name).read_text("utf-8")
    )
    folder = "adapters/support_chat_adapters/transport/wire/"
    assert shipped == documents()[name], f"{name} is stale: support-chat export --write {folder}"


def test_the_same_code_gives_the_same_text_in_every_process() -> None:
    program = (
        "from support_chat_adapters.transport.wire.documents import documents; "
        "print(*documents().values(), sep='', end='')"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        printed = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, env=environment, check=True
        ).stdout
        assert printed.decode("utf-8") == "".join(documents().values())


def test_the_openapi_document_is_valid() -> None:
    openapi_spec_validator.validate(OPENAPI)

    broken = copy.deepcopy(OPENAPI)
    del broken["paths"][f"{BASE}/conversations/{{conversation_id}}"]["get"]["parameters"]
    with pytest.raises(OpenAPIValidationError):
        openapi_spec_validator.validate(broken)


def test_every_endpoint_is_documented_with_who_may_ask_and_what_may_come_back() -> None:
    assert {(path, method) for path, ways in OPENAPI["paths"].items() for method in ways} == {
        (BASE + one.path, one.method.lower()) for one in ENDPOINTS
    }
    for one in ENDPOINTS:
        operation = OPENAPI["paths"][BASE + one.path][one.method.lower()]
        answers = set(operation["responses"])
        assert operation["operationId"] == one.name
        assert operation.get("security", OPENAPI["security"]) == (
            [] if one.open else [{"session": []}]
        )
        assert ("requestBody" in operation) == (one.takes is not None)
        assert {
            each["name"] for each in operation.get("parameters", []) if each["in"] == "query"
        } == set(one.query)
        assert ("Origin" in operation["description"]) == one.mutates
        assert answers >= {"200" if one.answers else "204", "403", "429", "500", "503"}
        assert one.open or "401" in answers
        assert ("404" in answers) == ("{conversation_id}" in one.path)
        assert ("413" in answers) == (one.takes is not None)


def test_every_error_answer_is_the_envelope_with_the_codes_of_its_status() -> None:
    responses = OPENAPI["components"]["responses"]
    assert OPENAPI["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == sorted(
        CODES
    )
    errors: list[SupportChatError] = [
        AuthRefusedError("No."),
        VisitorEndedError("No."),
        *(AuthRefusedError("No.", code=code) for code in ("auth_required", "auth_expired")),
        *(
            BackendRejectedError("No.", code=code)
            for code in ("auth_required", "invalid_origin", "widget_disabled")
        ),
        *(
            BackendRejectedError("No.", code=code)
            for code in (
                "message_invalid",
                "conversation_not_found",
                "owner_changed",
                "validation_error",
            )
        ),
        BackendRejectedError("No.", code="validation_error", reason="body_too_large"),
        RateLimitedError("Later.", retry_after=2.0),
        RateLimitedError("Later.", retry_after=2.0, reason="busy"),
        NetworkError("Failed."),
    ]
    by_status = {
        "401": "Unauthorized",
        "403": "Forbidden",
        "404": "NotFound",
        "409": "OwnerChanged",
        "413": "TooLarge",
        "422": "Invalid",
    }
    by_status |= {"429": "TooManyRequests", "500": "Failed", "503": "Unavailable"}
    assert set(by_status.values()) == set(responses)
    for error in errors:
        answer = response_to(error, "0" * 32)
        documented = responses[by_status[str(answer.status)]]
        validator = schema_of(OPENAPI, documented["content"]["application/json"]["schema"])
        body = json.loads(answer.body)
        assert validator.is_valid(body), (error, body)
        assert body["error"]["code"] in codes_of(answer.status)
        assert {name.lower() for name in documented["headers"]} <= set(answer.headers), error
        body["error"]["code"] = "no_such_code"
        assert not validator.is_valid(body)


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_every_reference_points_to_something(document: dict[str, Any]) -> None:
    references = references_in(document)
    assert references
    for reference in references:
        assert pointed_at(document, reference), reference


def test_the_asyncapi_document_has_the_opening_every_frame_and_every_close_code() -> None:
    (channel,) = ASYNCAPI["channels"].values()
    operation, heard = (ASYNCAPI["operations"][name] for name in ("tell", "hear"))
    (server,) = ASYNCAPI["servers"].values()
    (security,) = ASYNCAPI["components"]["securitySchemes"].values()
    query = channel["bindings"]["ws"]["query"]

    assert ASYNCAPI["asyncapi"] == "3.0.0"
    assert channel["address"] == f"{BASE}/realtime"
    assert (server["protocol"], operation["action"]) == ("ws", "send")
    assert heard["action"] == "receive"
    assert [pointed_at(ASYNCAPI, reference["$ref"]) for reference in heard["messages"]] == [
        channel["messages"]["ping"],
        channel["messages"]["pong"],
    ]
    assert (security["in"], security["name"]) == ("query", "session_token")
    assert (set(query["properties"]), query["required"]) == (
        {"session_token", "echoes", "cursor"},
        ["session_token"],
    )
    assert {message["name"] for message in ASYNCAPI["components"]["messages"].values()} == set(
        frames.FRAMES
    )
    assert [pointed_at(ASYNCAPI, reference["$ref"]) for reference in operation["messages"]] == list(
        channel["messages"].values()
    )
    codes = {each["code"]: each for each in channel["x-close-codes"]}
    assert set(codes) == set(CloseCode)
    assert {code for code, each in codes.items() if each["terminal"]} == TERMINAL == {4403}
    assert all(each["meaning"].endswith(".") for each in codes.values())


def test_the_frames_that_the_gateway_sends_fit_the_schemas_of_the_asyncapi_document() -> None:
    messages = {each["name"]: each for each in ASYNCAPI["components"]["messages"].values()}
    assert {type(frame) for frame in FRAMES} == set(frames.FRAMES.values())
    for frame in FRAMES:
        sent = json.loads(frames.encode_frame(frame))
        validator = schema_of(ASYNCAPI, messages[sent["type"]]["payload"])
        assert validator.is_valid(sent), sent
        assert not validator.is_valid({**sent, "type": "no.such.frame"})
        del sent["type"]
        assert not validator.is_valid(sent)


def test_payloads_on_the_wire_fit_the_schemas_of_the_openapi_document() -> None:
    opening = payloads.OpenSession(workspace_id="demo", widget_id="web", visitor="v" * 22)
    start = payloads.StartConversation(
        message="Hello", client_message_id="m", tags=("a",), metadata={"deep": [{"x": None}]}
    )
    polled = frames.Polled(
        cursor="4",
        frames=(frames.MessageCreated(message=MESSAGE, cursor="4"), frames.SessionEnded()),
    )
    page = payloads.MessagesPage(messages=(MESSAGE,), next_cursor=None)
    faults: list[tuple[msgspec.Struct, dict[str, object]]] = [
        (opening, {"visitor": "short"}),
        (opening, {"workspaceId": ""}),
        (opening, {"identity": {"userId": "u" * 256}}),
        (start, {"message": " \n"}),
        (start, {"tags": ["t" * 256]}),
        (polled, {"frames": [{"type": "hello", "cursor": "1"}]}),
        (page, {"messages": [{}]}),
    ]
    for payload, fault in faults:
        validator = schema_of(OPENAPI, {"$ref": f"#/components/schemas/{type(payload).__name__}"})
        sent = json.loads(msgspec.json.encode(payload))
        assert validator.is_valid(sent), sent
        assert not validator.is_valid({**sent, **fault}), fault


def test_export_prints_either_document(capsys: Printed) -> None:
    for form in ("openapi", "asyncapi"):
        assert main(["export", "--format", form]) == 0
        assert capsys.readouterr().out == documents()[f"{form}.json"]


def test_export_writes_both_documents_and_check_names_each_stale_one_and_the_mend(
    tmp_path: Path, capsys: Printed
) -> None:
    folder = tmp_path / "my documents"
    assert main(["export", "--write", str(folder)]) == 0
    assert {path.name: path.read_text("utf-8") for path in folder.iterdir()} == documents()
    assert main(["export", "--check", str(folder)]) == 0
    capsys.readouterr()
    (folder / "openapi.json").write_text("{}", encoding="utf-8")
    (folder / "asyncapi.json").unlink()
    (folder / "chart.json").write_text('{"schema": "support-chat/chart"}')  # is none of ours here

    assert main(["export", "--check", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert printed == (
        "stale: openapi.json\nmissing: asyncapi.json\nmend it with:\n  support-chat export "
        f"--write '{folder}'\n"
    )
    assert main(["export", "--write", str(folder)]) == 0
    assert main(["export", "--check", str(folder)]) == 0
    assert (folder / "chart.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--write", "documents", "--format", "openapi"],
        ["--check", "documents", "--chart", "shop:CHART"],
        ["--format", "asyncapi", "--chart", "shop:CHART"],
        ["--check", "README.md"],
    ],
)
def test_export_says_what_does_not_go_together(
    arguments: list[str], capsys: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("a file", encoding="utf-8")
    assert main(["export", *arguments]) == 2
    assert capsys.readouterr().err.startswith("support-chat: error: ")
    assert not (tmp_path / "documents").exists()


def test_export_without_msgspec_names_the_line_that_installs_it(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "msgspec", None)
    assert main(["export", "--format", "openapi"]) == 2
    assert 'pip install "support-chat[serve]"' in capsys.readouterr().err
