"""What hooks make a request end with: their refusals, and their own failures."""

from __future__ import annotations

from fileloft_fast.errors.base import FileloftError, WireError


class RefusedByHookError(WireError):
    """A pre-access hook, or another one by its own HTTP status, has said no to the request.

    The hook may say another status, body and header fields than these; no code is told then.
    """

    status = 403
    code = "refused_by_hook"

    def __init__(
        self,
        message: str,
        *,
        answer_status: int = 0,
        answer_body: bytes = b"",
        answer_fields: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.answer_status = answer_status
        self.answer_body = answer_body
        self.answer_fields = answer_fields


class UploadRejectedError(RefusedByHookError):
    """A pre-create hook does not want the upload; nothing was created."""

    status = 400
    code = "upload_rejected"


class UploadStoppedError(RefusedByHookError):
    """A post-receive hook has stopped the upload, which is removed."""

    status = 400
    code = "upload_stopped"


class TerminationRejectedError(RefusedByHookError):
    """A pre-terminate hook does not want the upload removed."""

    status = 400
    code = "upload_termination_rejected"


class UploadExistsError(WireError):
    """The id or the path that a hook chose is taken; nothing is overwritten."""

    status = 409
    code = "upload_exists"


class HookUnavailableError(FileloftError):
    """A hook that must be asked did not answer in time; the client tries again."""

    status = 503
    code = "hook_unavailable"


class HookFailedError(FileloftError):
    """A hook that must be asked has failed, or has answered what cannot be done.

    ``delivered``: it has heard, and only its answer is of no use.
    """

    code = "hook_failed"

    def __init__(self, message: str, *, delivered: bool = False) -> None:
        super().__init__(message)
        self.delivered = delivered
