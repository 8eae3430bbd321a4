"""An application that uses OpenFeature with the provider of its remote evaluation protocol."""

import json
import os
import sys
from dataclasses import asdict
from typing import Any

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext


def main(questions: list[dict[str, Any]]) -> None:
    token = os.environ["TOKEN"]
    api.set_provider(OFREPProvider(os.environ["HOST"], headers_factory=lambda: {"Authorization": f"Bearer {token}"}))
    client = api.get_client()
    for question in questions:
        context = EvaluationContext(question.get("id"), question.get("attributes", {}))
        ask = getattr(client, f"get_{question['kind']}_details")
        seen = asdict(ask(question["flag"], question["default"], context))
        print(json.dumps({"name": question["name"], **seen}, default=str), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
