"""Avatars and invoices with FastAPI: clients upload to the storage server, not through the app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from fileloft_fast.storage import AsyncStorage, NotFoundError, make_path

router = APIRouter()
pending: dict[str, str] = {}  # your database: which path each user was given a ticket for
avatars: dict[str, str] = {}


def user_of(x_user: Annotated[str, Header()]) -> str:
    """Return who asks. Put in how your app knows that."""
    return x_user


def public_of(request: Request) -> AsyncStorage:
    """Return the client of the storage that everybody may read."""
    storage: AsyncStorage = request.app.state.public
    return storage


def private_of(request: Request) -> AsyncStorage:
    """Return the client of the storage that nobody may read without a signed URL."""
    storage: AsyncStorage = request.app.state.private
    return storage


User = Annotated[str, Depends(user_of)]
Public = Annotated[AsyncStorage, Depends(public_of)]
Private = Annotated[AsyncStorage, Depends(private_of)]


@router.post("/avatar")
async def begin(user: User, storage: Public) -> Response:
    """Permit one upload. The app chooses the path; the client never does."""
    path = pending[user] = make_path("avatars")
    description = await storage.create_ticket(
        path, max_size=2_000_000, content_type="image/png", file_name="avatar.png"
    )
    return Response(description.to_json(), media_type="application/json")


@router.post("/avatar/done")
async def finish(user: User, storage: Public) -> Response:
    """Take the upload that the client says it made, if it did."""
    path = pending.pop(user, "")
    if not path or not await storage.verify(path):
        raise HTTPException(409, "nothing was uploaded")
    before = avatars.get(user)
    avatars[user] = path
    if before is not None:
        await storage.delete(before)
    return Response(status_code=204)


@router.get("/avatar/{user}")
async def show(user: str, storage: Public) -> Response:
    """Send whoever asks to the avatar, which everybody may see."""
    url = await storage.public_url(avatars[user]) if user in avatars else None
    if url is None:
        raise HTTPException(404)
    return RedirectResponse(url)


@router.get("/invoice/{number}")
async def invoice(number: int, user: User, storage: Private) -> Response:
    """Send the user to an invoice of theirs, by a URL that is good for a minute."""
    url = await storage.signed_url(f"invoices/{user}/{number}", expires_in=60)
    if url is None:
        raise HTTPException(404)
    return RedirectResponse(url)


@router.get("/invoice/{number}/through")
async def invoice_through(number: int, user: User, storage: Private) -> Response:
    """Pass an invoice through the app, where no client may see the storage server."""
    path = f"invoices/{user}/{number}"
    try:
        found = await storage.stat(path)
    except NotFoundError:
        raise HTTPException(404) from None
    return StreamingResponse(storage.stream(path), media_type=found.content_type)


def create_app(url: str, key: str) -> FastAPI:
    """Return the app for the storage server at *url*; *key* is one of FILELOFT_STORAGE_KEYS."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            AsyncStorage(url, key, "public") as public,
            AsyncStorage(url, key, "private") as private,
        ):
            app.state.public, app.state.private = public, private
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    return app
