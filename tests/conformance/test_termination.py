"""tus 1.0, termination (T160 to T166; T163 is in test_takeover)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wire import render_request

if TYPE_CHECKING:
    from tests.endpoint import Endpoint


@pytest.mark.parametrize("content", [b"", b"abc", b"hello"])
def test_delete_removes_an_upload_and_frees_its_storage(tus: Endpoint, content: bytes) -> None:
    """T160, T161 and T162: begun, part way and complete."""
    upload = tus.create_holding(content, 5)
    before = tus.files()
    name = upload.removeprefix(tus.base)
    with tus.connect() as wire:
        answer = wire.ask(render_request("DELETE", upload))
        assert (answer.status, answer.body) == (204, b"")
        assert answer["Tus-Resumable"] == "1.0.0"
        for request in (
            render_request("HEAD", upload),
            tus.render_append(upload, len(content), b"x"),
            render_request("DELETE", upload),
        ):
            assert wire.ask(request).status in {404, 410}
    assert tus.files() == before - {name, f"{name}.info"}
    tus.assert_gone(upload)


def test_a_deleted_upload_cannot_be_downloaded(shop: Endpoint) -> None:
    """T161."""
    upload = shop.finish(b"hello")
    assert shop.ask("DELETE", upload).status == 204
    assert shop.ask("GET", upload).status in {404, 410}
    shop.assert_gone(upload)


@pytest.mark.parametrize("target", ["/files/0123456789abcdef0123456789abcdef", "/files/x"])
def test_delete_of_an_unknown_upload_is_404(tus: Endpoint, target: str) -> None:
    """T164."""
    before = tus.files()
    assert tus.ask("DELETE", target).status == 404
    assert tus.files() == before


def test_delete_of_the_collection_is_refused(tus: Endpoint) -> None:
    """T164."""
    before = tus.files()
    answer = tus.ask("DELETE", tus.base)
    assert answer.status == 405
    assert "POST" in answer["Allow"]
    assert tus.files() == before


def test_a_final_upload_outlives_its_partials(tus: Endpoint) -> None:
    """T165."""
    partials = [tus.finish(part, {"Upload-Concat": "partial"}) for part in (b"hello ", b"world")]
    answer = tus.post({"Upload-Concat": f"final;{' '.join(partials)}"})
    final = tus.path_of(answer)
    for partial in partials:
        assert tus.ask("DELETE", partial).status == 204
        tus.assert_gone(partial)
    tus.assert_holds(final, b"hello world")


def test_delete_while_the_extension_is_off_deletes_nothing(plain: Endpoint) -> None:
    """T166: 404 as for every disabled extension; fileloft's clients know it."""
    upload = plain.create(5)
    assert plain.append(upload, 0, b"abc").status == 204
    assert plain.ask("DELETE", upload).status == 404
    plain.assert_holds(upload, b"abc")
