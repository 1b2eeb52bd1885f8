"""From the settings to the guard, whose library may not be installed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fileloft_fast.access.grant import load_jwt
from fileloft_fast.access.guard import Access, Verifier
from fileloft_fast.access.rate import Rates
from fileloft_fast.config import AuthMode
from fileloft_fast.model import Quota

if TYPE_CHECKING:
    from fileloft_fast.config import Settings


def load_access(settings: Settings) -> Access:
    """Return what admits requests by *settings*; it has read no keys yet.

    To be called on the loop that serves. Raises ConfigError where the extra is not installed.
    """
    # Neither PyJWT nor SQLite is loaded by a server that asks nobody who they are.
    quota = Quota(settings.quota_bytes, settings.quota_uploads, settings.quota_rate)
    accounts = import_module("fileloft_fast.access.accounts").Accounts(
        Path(settings.data_dir, "access.db")
    )
    certificates = AuthMode.CERTIFICATE in settings.auth
    return Access(_verifier(settings, quota), accounts, Rates(), quota, certificates=certificates)


def _verifier(settings: Settings, quota: Quota) -> Verifier | None:
    """Return what verifies tokens; None where certificates alone count."""
    if not {AuthMode.JWT, AuthMode.GRANT} & set(settings.auth):
        return None
    load_jwt()
    tokens = import_module("fileloft_fast.access.tokens")
    users = tokens.user_issuer(settings) if AuthMode.JWT in settings.auth else None
    grants = None
    if AuthMode.GRANT in settings.auth:
        grants = tokens.grant_issuer(settings.grant_secrets)
    verifier: Verifier = tokens.Tokens(users, grants, quota)
    return verifier
