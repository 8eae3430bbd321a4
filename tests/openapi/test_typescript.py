"""TypeScript made from the document compiles. Needs npm, which this service itself does not."""

import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

DOCUMENT = Path(settings.BASE_DIR) / "openapi.yaml"
TOOLS = Path(__file__).parent / "node"
COMPILE = [
    "tsc", "--noEmit", "--strict", "--target", "es2020", "--lib", "es2021,dom", "--module", "es2020",
    "--moduleResolution", "bundler",
]  # fmt: skip

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


def run(words: list[str], directory: Path) -> str:
    finished = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False, timeout=300)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout + finished.stderr


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the pinned tools, apart from the sources."""
    directory = tmp_path_factory.mktemp("typescript")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(TOOLS / name, directory)
    run(["npm", "ci", "--ignore-scripts", "--no-progress"], directory)
    return directory


USE = """
import type { components, operations } from "./schema";
type Experiment = components["schemas"]["Experiment"];
type Is<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
export const conclusion: Is<
  Experiment["conclusion"], "won" | "lost" | "inconclusive" | "stopped_early" | "invalid" | null
> = true;
export const kinds: Is<Experiment["metrics"][number]["metric_type"], "mean" | "funnel" | "ratio" | "retention"> = true;
export const id: Is<operations["experiments_retrieve"]["parameters"]["path"]["id"], number> = true;
// @ts-expect-error a status there is not
export const status: Experiment["status"] = "frozen";
"""


def test_openapi_typescript__types_are_exact(tools: Path) -> None:
    run(["npx", "openapi-typescript", str(DOCUMENT), "--output", "schema.ts"], tools)
    (tools / "use.ts").write_text(USE)

    run(["npx", *COMPILE, "use.ts"], tools)


def test_openapi_typescript_codegen__client_compiles(tools: Path) -> None:
    run(["npx", "openapi", "--input", str(DOCUMENT), "--output", "client"], tools)

    run(["npx", *COMPILE, "client/index.ts"], tools)
