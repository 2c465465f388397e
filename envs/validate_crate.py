"""Check an RO-Crate with roc-validator, without a network: what does not conform, one line each.

    make validators
    .venv-validators/bin/python envs/validate_crate.py CRATE [required|recommended]

roc-validator fetches the vocabulary of RO-Crate 1.1 by its address. Here, it is served from the copy that ``rocrate``
0.13 has in it, and every other request is refused. Exits with status 1 if an issue was found.
"""

import importlib.resources
import io
import sys
import tempfile
from pathlib import Path

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from rocrate_validator.models import ValidationSettings
from rocrate_validator.services import validate
from urllib3 import HTTPResponse

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "provenance-run-crate"


class Bundled(HTTPAdapter):
    """Answers a request for the vocabulary with the copy in ``rocrate``."""

    def send(self, request: PreparedRequest, *_: object, **__: object) -> Response:
        """The answer to a request."""
        content = (importlib.resources.files("rocrate") / "data/ro-crate.jsonld").read_bytes()
        headers = {"Content-Type": "application/ld+json"}
        raw = HTTPResponse(io.BytesIO(content), headers, 200, preload_content=False, request_url=CONTEXT)
        return self.build_response(request, raw)


def issues(crate: Path, severity: str) -> list[str]:
    """What a crate lacks of the profile: severity, requirement, entity and message of each issue."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "http"
        with CachedSession(cache_name=str(cache), backend="sqlite", expire_after=-1) as session:
            session.mount(CONTEXT, Bundled())
            session.get(CONTEXT, headers={"Accept": "application/ld+json"})
        settings = ValidationSettings(
            rocrate_uri=str(crate),
            profile_identifier=PROFILE,
            requirement_severity=severity.upper(),
            offline=True,
            cache_path=cache,
            skip_availability_check=True,
        )
        found = validate(settings).get_issues()
    return sorted(f"{one.severity.name}: {one.check.identifier}: {one.violatingEntity}: {one.message}" for one in found)


if __name__ == "__main__":
    found = issues(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "required")
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
