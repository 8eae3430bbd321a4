"""Routes with an optional trailing slash: one entry serves both spellings, nothing redirects."""

from rest_framework.routers import SimpleRouter


class OptionalSlashRouter(SimpleRouter):
    """A SimpleRouter whose routes end in `/?`; the OpenAPI document shows them once, with the slash."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"
