"""Files that pages load: scripts, styles, fonts. Each is asked for under a stamp of all of them, and kept for ever."""

import functools
import gzip
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from pocketlet.surfaces.web import problems

FOLDER = Path(__file__).parent / "static"
#: What is served; a licence or a list beside the files is not.
KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
PACKED = (".js", ".css", ".svg")  # fonts are packed already


@functools.cache
def files() -> dict[str, Path]:
    """Every file by its name below `static/`; no other can be asked for."""
    found = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path.suffix in KINDS)
    return {path.relative_to(FOLDER).as_posix(): path for path in found}


@functools.cache
def stamp() -> str:
    """Another one whenever a file is."""
    found = hashlib.sha256()
    for name, path in files().items():
        found.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:12]


def url(name: str) -> str:
    """Where a page loads the file from. Raises KeyError for one that there is not."""
    if name not in files():
        raise KeyError(name)
    return f"/static/{stamp()}/{name}"


@functools.cache
def packed(name: str) -> bytes:
    """The file, gzipped: the first page is then on a phone in half the time. Nothing in here is anybody's secret."""
    return gzip.compress(files()[name].read_bytes(), 9, mtime=0)


async def serve(request: Request) -> Response:
    """One of the files, whatever the stamp: a page of the version before may still be open."""
    name = request.path_params["name"]
    path = files().get(name)
    if path is None:
        return problems.answer(404, "none", "There is nothing here.")
    if path.suffix not in PACKED:
        return FileResponse(path, media_type=KINDS[path.suffix])
    fields = {"vary": "accept-encoding"}
    if not _takes_gzip(request.headers.get("accept-encoding", "")):
        return FileResponse(path, media_type=KINDS[path.suffix], headers=fields)
    return Response(packed(name), media_type=KINDS[path.suffix], headers={**fields, "content-encoding": "gzip"})


def _takes_gzip(accepted: str) -> bool:
    """Whether the browser says so, and not with a weight of none."""
    offers = (one.replace(" ", "").lower().partition(";") for one in accepted.split(","))
    return any(kind in ("gzip", "*") and weight.rstrip("0.") != "q=" for kind, _, weight in offers)
