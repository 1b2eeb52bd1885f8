"""What is wrong with a ticket, with the path that it names, or with the form that it came with."""

from __future__ import annotations

from fileloft_fast.errors.base import WireError


class InvalidPathError(WireError):
    """The path of an object is too long, empty or has characters that the storage does not take."""

    code = "invalid_path"


class InvalidTicketError(WireError):
    """What is asked for cannot be put into a ticket: a name, a size, a time or a content type."""

    code = "invalid_ticket"


class TicketError(WireError):
    """There is no ticket, or it is not one of this server's for this request; it says no more."""

    status = 403
    code = "ticket"


class TicketExpiredError(TicketError):
    """The ticket was good until a time that has passed."""

    code = "ticket_expired"


class TicketSpentError(TicketError):
    """The ticket has been used: one ticket, one object."""

    code = "ticket_spent"


class FormError(WireError):
    """The body is not multipart/form-data (RFC 7578), or has more than a form with one file has."""

    code = "form"
