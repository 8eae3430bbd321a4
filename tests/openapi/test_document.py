"""The document itself: made without a warning, valid, the same as the committed file, and for callers to read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.settings import spectacular_settings
from openapi_spec_validator import OpenAPIV30SpecValidator

COMMITTED = Path(settings.BASE_DIR) / "openapi.yaml"
Node = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Node:
    made: Node = spectacular_settings.DEFAULT_GENERATOR_CLASS().get_schema(request=None, public=True)
    return made


def operations(document: Node) -> Iterator[tuple[str, str, Node]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def schemas_in(node: Any) -> Iterator[Node]:
    """Every schema object below `node`, properties, items and members of unions included."""
    if isinstance(node, dict):
        yield node
        inner = [*node.get("properties", {}).values(), node.get("items"), node.get("additionalProperties")]
        for part in ("oneOf", "anyOf", "allOf"):
            inner += node.get(part, [])
        for schema in inner:
            yield from schemas_in(schema)


def test_generation__no_warning_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    spectacular_settings.DEFAULT_GENERATOR_CLASS().get_schema(request=None, public=True)

    assert not GENERATOR_STATS, capsys.readouterr().err


def test_committed_file__is_what_the_code_generates(document: Node) -> None:
    assert OpenApiYamlRenderer().render(document) == COMMITTED.read_bytes(), "run `make openapi` and commit the file"


def test_document__valid_openapi_3_0(document: Node) -> None:
    OpenAPIV30SpecValidator(document).validate()


def test_document__version_and_server(document: Node) -> None:
    assert document["openapi"] == "3.0.3"
    assert document["servers"] == [{"url": "/"}]


def test_paths__end_with_a_slash_and_appear_once(document: Node) -> None:
    shapes = [re.sub(r"\{[^}]+\}", "{}", path) for path in document["paths"]]

    assert all(path.endswith("/") and not path.endswith("//") for path in document["paths"])
    assert len(set(shapes)) == len(shapes)


def test_verbs__no_put(document: Node) -> None:
    assert {method for _, method, _ in operations(document)} <= {"get", "post", "patch", "delete"}


def test_paths__no_sdk_endpoint_and_not_the_document_itself(document: Node) -> None:
    others = re.compile(r"/api/(projects|environments|organizations|users|personal_api_keys)/")

    assert [path for path in document["paths"] if not others.match(path)] == []
    assert [
        path for path in document["paths"] if path.endswith("/local_evaluation/") and "project_id" not in path
    ] == []


def test_project_id__is_a_text(document: Node) -> None:
    kinds = {
        parameter["schema"]["type"]
        for _, _, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "project_id"
    }

    assert kinds == {"string"}


def test_tag__is_the_segment_after_the_project(document: Node) -> None:
    for path, _, operation in operations(document):
        owned = re.match(r"/api/(?:projects|organizations)/\{(?:project|organization)_id\}/(\w+)/", path)
        if owned:
            assert operation["tags"] == [owned[1]], path


def test_tags__each_is_described_and_used(document: Node) -> None:
    used = {tag for _, _, operation in operations(document) for tag in operation["tags"]}

    assert {tag["name"] for tag in document["tags"]} == used, "describe each tag in experiments_service/api_texts.py"


def test_summaries__every_operation_has_one(document: Node) -> None:
    assert [path for path, _, operation in operations(document) if not operation.get("summary")] == []


def docstrings_of(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.Module):
            text = ast.get_docstring(node)
            if text:
                yield text.split("\n")[0].rstrip(".")


def test_descriptions__no_docstring_of_the_code(document: Node) -> None:
    words = OpenApiYamlRenderer().render(document).decode()
    words = re.sub(r"\s+", " ", words)
    sources = [
        path
        for app in ("feature_flags", "experiments", "projects", "common", "cohorts", "events", "activity", "approvals")
        for path in (Path(settings.BASE_DIR) / app).rglob("*.py")
    ]

    leaked = [text for path in sources for text in docstrings_of(path.read_text()) if len(text) > 15 and text in words]

    assert sources
    assert leaked == []


def test_schemas__null_is_told_by_nullable_alone(document: Node) -> None:
    for name, component in document["components"]["schemas"].items():
        for schema in schemas_in(component):
            assert schema.get("type") != "null", name
            if None in schema.get("enum", ()):
                assert schema["nullable"] is True, name
    assert not {"NullEnum", "BlankEnum"} & set(document["components"]["schemas"])


def test_schemas__nothing_untyped_but_free_members(document: Node) -> None:
    """A value is free only by design: as additional members of an object, or described as any value."""
    for name, component in document["components"]["schemas"].items():
        free = [
            id(schema["additionalProperties"])
            for schema in schemas_in(component)
            if schema.get("additionalProperties") == {}
        ]
        untyped = [
            schema
            for schema in schemas_in(component)
            if not {"type", "$ref", "allOf", "anyOf", "oneOf"} & set(schema)
            and id(schema) not in free
            and not schema.get("description", "").startswith("Any JSON value")
        ]
        assert untyped == [], name


def resolved(document: Node, schema: Node) -> Node:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Node = document["components"]["schemas"][name] if name else schema
    return found


def test_unions__told_apart_by_a_property_that_every_member_requires(document: Node) -> None:
    unions = [
        schema
        for component in document["components"]["schemas"].values()
        for schema in schemas_in(component)
        if "oneOf" in schema
    ]

    assert unions
    for union in unions:
        told_by, mapping = union["discriminator"]["propertyName"], union["discriminator"]["mapping"]
        assert {member["$ref"] for member in union["oneOf"]} == set(mapping.values())
        for value, reference in mapping.items():
            member = resolved(document, {"$ref": reference})
            assert told_by in member["required"]
            assert value in resolved(document, member["properties"][told_by])["enum"]


@pytest.mark.parametrize(
    ("component", "told_by", "values"),
    [
        ("ExperimentMetric", "metric_type", {"mean", "funnel", "ratio", "retention"}),
        ("SourceNode", "kind", {"EventsNode", "ActionsNode", "ExperimentDataWarehouseNode"}),
        ("EventNode", "kind", {"EventsNode", "ActionsNode"}),
        ("ExposureConfig", "kind", {"ExperimentEventExposureConfig", "ActionsNode"}),
    ],
)
def test_union__has_all_its_kinds(document: Node, component: str, told_by: str, values: set[str]) -> None:
    discriminator = document["components"]["schemas"][component]["discriminator"]

    assert discriminator["propertyName"] == told_by
    assert set(discriminator["mapping"]) == values


@pytest.mark.parametrize(
    "name",
    [
        *("Experiment", "PatchedExperiment", "PaginatedExperimentList", "ExperimentHoldout", "ExperimentSavedMetric"),
        *("ExperimentToSavedMetric", "MinimalFeatureFlag", "FeatureFlag", "UserBasic", "ConclusionEnum"),
        *("ExperimentMetric", "Cohort", "ActivityLogEntry", "Error"),
    ],
)
def test_component__is_called_as_clients_know_it(document: Node, name: str) -> None:
    assert name in document["components"]["schemas"]


def test_nullable_choice__is_one_enum_with_null_among_its_values(document: Node) -> None:
    schemas = document["components"]["schemas"]

    assert schemas["Experiment"]["properties"]["conclusion"] == {"$ref": "#/components/schemas/ConclusionEnum"}
    assert schemas["ConclusionEnum"] == {
        "type": "string",
        "nullable": True,
        "enum": ["won", "lost", "inconclusive", "stopped_early", "invalid", None],
    }


def test_conditional_requests__tag_and_precondition_are_declared(document: Node) -> None:
    methods = document["paths"]["/api/projects/{project_id}/experiments/{id}/"]
    collection = document["paths"]["/api/projects/{project_id}/experiments/"]

    assert "ETag" in methods["get"]["responses"]["200"]["headers"]
    assert "ETag" in methods["patch"]["responses"]["200"]["headers"]
    assert "ETag" in collection["post"]["responses"]["201"]["headers"]
    assert "headers" not in collection["get"]["responses"]["200"]
    assert [parameter["name"] for parameter in methods["patch"]["parameters"] if parameter["in"] == "header"] == [
        "If-Match"
    ]
    assert "412" in methods["patch"]["responses"]
    assert "412" not in methods["get"]["responses"]
    assert "412" not in collection["post"]["responses"]


def bodies_of(document: Node) -> Iterator[tuple[str, Node]]:
    for _, _, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            yield operation["operationId"], media["schema"]


def reachable(document: Node, schema: Node, seen: set[str]) -> Iterator[Node]:
    for found in schemas_in(schema):
        yield found
        name = found.get("$ref", "").rpartition("/")[2]
        if name and name not in seen:
            seen.add(name)
            yield from reachable(document, document["components"]["schemas"][name], seen)


def test_request_bodies__no_read_only_field(document: Node) -> None:
    for operation_id, body in bodies_of(document):
        for schema in reachable(document, body, set()):
            assert "readOnly" not in schema, operation_id


def test_components__none_unused(document: Node) -> None:
    used: set[str] = set()
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            for media in response.get("content", {}).values():
                list(reachable(document, media["schema"], used))
    for _, body in bodies_of(document):
        list(reachable(document, body, used))

    assert set(document["components"]["schemas"]) == used


def test_refusals__every_operation_declares_what_can_occur(document: Node) -> None:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, method, operation in operations(document):
        responses = operation["responses"]
        expected = {"401", "403", "429"}
        if not operation.get("deprecated"):
            expected |= {"400", "500"} | ({"404"} if "{" in path else set())
        if "requestBody" in operation:
            expected |= {"413", "415"}
        assert expected <= set(responses), (method, path)
        assert all(responses[status]["content"] == error for status in expected), (method, path)
        assert responses["429"]["headers"]["Retry-After"]["schema"]["type"] == "integer"


def test_refused_delete__deprecated_and_without_success(document: Node) -> None:
    refused = document["paths"]["/api/projects/{project_id}/feature_flags/{id}/"]["delete"]

    assert refused["deprecated"] is True
    assert sorted(refused["responses"]) == ["401", "403", "405", "429"]
    assert "content" not in refused["responses"]["405"]
    assert "Allow" in refused["responses"]["405"]["headers"]


def test_comma_lists__form_not_exploded(document: Node) -> None:
    lists = [
        parameter
        for _, _, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if parameter["schema"].get("type") == "array"
    ]

    assert lists
    assert all((parameter["style"], parameter["explode"]) == ("form", False) for parameter in lists)
