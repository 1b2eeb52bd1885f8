"""What goes wrong with objects in named storages."""

from __future__ import annotations

from fileloft_fast.errors.base import FileloftError, WireError


class NoSuchStorageError(WireError):
    """No named storage has this name."""

    status = 404
    code = "no_such_storage"


class NoSuchObjectError(WireError):
    """There is no object at this path that the request may see; unverified ones are none."""

    status = 404
    code = "no_such_object"


class ObjectExistsError(WireError):
    """There is an object at this path, and it is not to be replaced; what came was thrown away."""

    status = 409
    code = "object_exists"


class PreconditionFailedError(WireError):
    """A condition of the request does not hold, or none can be promised; nothing was changed."""

    status = 412
    code = "precondition_failed"


class InvalidRequestError(WireError):
    """The body of a request to the storages' API is not what the API takes."""

    code = "invalid_request"


class CatalogueError(FileloftError):
    """What lies where cannot be written down or looked up; the client tries again."""

    status = 503
    code = "catalogue"
