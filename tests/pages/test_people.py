"""The page for people in a real browser: files arrive, whatever the network and the person do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import expect

from fileloft_fast.access import issue_grant
from tests.deadline import eventually
from tests.pages.conftest import INSECURE_HOST
from tests.pages.scene import STUCK
from tests.pages.watched import LOST, PATIENCE_MS, Sample, assert_done, choose, row, wait_for
from tests.proxy import UNHARMED, Break, End, Proxy
from tests.tokens import GRANT_SECRET

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from tests.conftest import Fleet
    from tests.endpoint import Endpoint
    from tests.pages.watched import Watched

MIB: Final = 1024 * 1024
AGAIN: Final = {"waiting": "Try now", "failed": "Try again"}
"""What the button is called that goes on from a state."""


@pytest.fixture(scope="module")
def ui(fleet: Fleet) -> Endpoint:
    return fleet.endpoint(ENABLE_UI="1", ENABLE_DOWNLOAD="1")


@contextmanager
def stuck(endpoint: Endpoint) -> Iterator[Proxy]:
    """Return a way to the server on which every upload stands still until ``free``."""
    with Proxy(endpoint.server.address, otherwise=STUCK) as proxy:
        yield proxy


def free(proxy: Proxy) -> None:
    """Let everything pass from now on; what stands still is cut."""
    proxy.otherwise = UNHARMED
    proxy.reset_all()


def uploads_of(endpoint: Endpoint, sample: Sample) -> list[str]:
    """Return the uploads on the disk that are of this file, by its name."""
    found = []
    for upload in endpoint.uploads():
        with suppress(FileNotFoundError):  # deleted while we look
            if endpoint.info(f"/{upload}")["metadata"].get("filename") == sample.name:
                found.append(f"{endpoint.base}{upload}")
    return found


def assert_stored(endpoint: Endpoint, sample: Sample) -> None:
    """Assert that one upload holds this file, byte for byte."""
    (upload,) = uploads_of(endpoint, sample)
    assert hashlib.sha256(endpoint.stored(upload)).hexdigest() == sample.sha256


def test_200_mib_arrive_over_a_network_that_breaks_and_a_reload(
    ui: Endpoint, watched: Watched
) -> None:
    film = watched.sample("film.mp4", 200 * MIB)
    watched.allow(LOST, "409")  # a browser repeats by itself what broke on a connection in use
    breaks = (
        Break(at=40 * MIB, end=End.RESET),
        Break(at=80 * MIB, end=End.RESET, answer=True),
        Break(at=120 * MIB, end=End.STALL),
    )
    with Proxy(ui.server.address, breaks=breaks) as proxy:
        page = watched.open(proxy.address)
        choose(page, film)
        eventually(lambda: not proxy.breaks, within_s=PATIENCE_MS / 1000)
        page.reload()
        unfinished = page.get_by_role("region", name="Unfinished")
        expect(unfinished.get_by_text(film.name)).to_be_visible()
        choose(page, film)
        expect(unfinished).to_be_hidden()
        assert_done(page, film)
        # A cut costs a request of 16 MiB at most, and only what was cut is sent again.
        assert proxy.passed_up < 200 * MIB + 4 * 16 * MIB
    assert_stored(ui, film)


def test_three_files_go_at_once_and_others_wait_for_their_turn(
    ui: Endpoint, watched: Watched
) -> None:
    files = [watched.sample(f"turn-{n}.bin", 3 * MIB + n) for n in range(5)]
    watched.allow(LOST, "409", "404")  # a DELETE that broke is repeated by the browser
    with stuck(ui) as proxy:
        page = watched.open(proxy.address)
        choose(page, *files)
        for file in files[:3]:
            wait_for(page, file, "sending")
        for file in files[3:]:
            wait_for(page, file, "queued")
        page.get_by_role("button", name="Pause turn-0.bin").click()
        wait_for(page, files[0], "paused")
        wait_for(page, files[3], "sending")
        eventually(lambda: uploads_of(ui, files[1]))
        page.get_by_role("button", name="Cancel turn-1.bin").click()
        expect(row(page, files[1])).to_have_count(0)
        wait_for(page, files[4], "sending")
        page.get_by_role("button", name="Resume turn-0.bin").click()
        wait_for(page, files[0], "queued")
        free(proxy)
        for file in (files[0], *files[2:]):
            assert_done(page, file)
        expect(page.get_by_text("4 of 4 done, 100 % of 13 MB")).to_be_visible()
        eventually(lambda: not uploads_of(ui, files[1]))
    for file in (files[0], *files[2:]):
        assert_stored(ui, file)


def test_a_lost_network_is_waited_for_and_tried_again_when_it_is_back(
    ui: Endpoint, watched: Watched
) -> None:
    file = watched.sample("offline.bin", MIB)
    watched.allow(LOST)
    page = watched.open(ui.server.address)
    page.clock.install()  # time stands still, so that only the event brings it back
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    page.context.set_offline(True)
    choose(page, file)
    page.clock.run_for(300)
    line = wait_for(page, file, "waiting")
    expect(line).to_contain_text("The connection is lost. Next try in 1 s")
    page.context.set_offline(False)
    page.clock.resume()
    assert_done(page, file)
    assert_stored(ui, file)


def test_an_upload_that_the_server_no_longer_has_begins_anew(
    ui: Endpoint, watched: Watched
) -> None:
    file = watched.sample("gone.bin", 3 * MIB)
    watched.allow(LOST, "404")
    with stuck(ui) as proxy:
        page = watched.open(proxy.address)
        choose(page, file)
        (before,) = eventually(lambda: uploads_of(ui, file))
        page.reload()
        assert ui.ask("DELETE", before).status == 204
        free(proxy)
        choose(page, file)
        assert_done(page, file)
    assert_stored(ui, file)


def test_what_is_unfinished_can_be_forgotten(ui: Endpoint, watched: Watched) -> None:
    file = watched.sample("forgotten.bin", 3 * MIB)
    watched.allow(LOST)
    with stuck(ui) as proxy:
        page = watched.open(proxy.address)
        choose(page, file)
        eventually(lambda: uploads_of(ui, file))
        expect(page).to_have_title(re.compile("^[0-9]+ % "))
        proxy.otherwise = UNHARMED
        page.reload()
        page.get_by_role("button", name="Forget forgotten.bin").click()
        expect(page.get_by_role("region", name="Unfinished")).to_be_hidden()
        eventually(lambda: not uploads_of(ui, file))
        page.reload()
        expect(page.get_by_role("region", name="Unfinished")).to_be_hidden()


def test_a_folder_arrives_with_the_paths_of_its_files(ui: Endpoint, watched: Watched) -> None:
    folder = watched.folder / "holiday"
    (folder / "deep er").mkdir(parents=True)
    (folder / "empty.txt").touch()
    (folder / "deep er" / "Größe 😀.txt").write_text("x" * 70_000)
    page = watched.open(ui.server.address)
    page.get_by_label("Choose a folder").set_input_files(folder)
    expect(page.get_by_text("2 of 2 done")).to_be_visible(timeout=PATIENCE_MS)
    infos = {upload: ui.info(f"/{upload}")["metadata"] for upload in ui.uploads()}
    sizes = {
        info["relativePath"]: ui.data_file(f"/{upload}").stat().st_size
        for upload, info in infos.items()
        if "relativePath" in info
    }
    assert sizes == {"holiday/empty.txt": 0, "holiday/deep er/Größe 😀.txt": 70_000}
    assert set(page.locator(".name").all_inner_texts()) == sizes.keys()


def test_dropped_files_and_folders_are_taken(ui: Endpoint, watched: Watched) -> None:
    page = watched.open(ui.server.address)
    page.evaluate(
        """() => {
          const dropped = new DataTransfer();
          dropped.items.add(new File(["dropped"], "dropped.txt", { lastModified: 1 }));
          const at = { bubbles: true, cancelable: true, dataTransfer: dropped };
          document.body.dispatchEvent(new DragEvent("dragover", at));
          document.body.dispatchEvent(new DragEvent("drop", at));
        }"""
    )
    line = page.get_by_role("listitem").filter(has_text="dropped.txt")
    expect(line.locator(".digest")).to_have_text(hashlib.sha256(b"dropped").hexdigest())


def test_a_finished_upload_can_be_downloaded_where_that_is_on(
    ui: Endpoint, fleet: Fleet, watched: Watched
) -> None:
    file = watched.sample("download.bin", 70_000)
    page = watched.open(ui.server.address)
    choose(page, file)
    assert_done(page, file)
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download download.bin").click()
    assert hashlib.sha256(downloading.value.path().read_bytes()).hexdigest() == file.sha256
    page.get_by_role("button", name="Remove download.bin").click()
    expect(row(page, file)).to_have_count(0)
    assert_stored(ui, file)
    page = watched.open(fleet.endpoint(ENABLE_UI="1", MAX_SIZE="100000").server.address)
    choose(page, file)
    expect(assert_done(page, file).get_by_role("link")).to_have_count(0)


def test_a_file_that_is_too_large_is_not_even_begun(fleet: Fleet, watched: Watched) -> None:
    limited = fleet.endpoint(ENABLE_UI="1", MAX_SIZE="100000")
    file = watched.sample("large.bin", 100_001)
    page = watched.open(limited.server.address)
    expect(page.get_by_text("Up to 100 kB each.")).to_be_visible()
    choose(page, file)
    line = wait_for(page, file, "failed")
    expect(line).to_contain_text("The file is larger than the server takes.")
    expect(page.get_by_role("status")).to_contain_text("large.bin has failed")
    assert not uploads_of(limited, file)


def test_a_token_is_typed_in_or_comes_by_the_fragment_and_is_never_in_a_url(
    fleet: Fleet, watched: Watched
) -> None:
    closed = fleet.endpoint(
        ENABLE_UI="1",
        ENABLE_DOWNLOAD="1",
        AUTH="grant",
        GRANT_SECRET=GRANT_SECRET,
        ACCESS_LOG="1",
    )
    first, second = (issue_grant(GRANT_SECRET, expires_in_s=600, uploads=9) for _ in range(2))
    watched.allow("401")
    typed, handed = watched.sample("typed.bin", 70_000), watched.sample("handed.bin", 70_000)
    page = watched.open(closed.server.address)
    choose(page, typed)
    line = wait_for(page, typed, "failed")
    expect(line).to_contain_text("The server wants a valid access token.")
    page.get_by_label("Token").fill(first)
    page.get_by_label("Token").press("Enter")
    assert_done(page, typed)
    expect(line.get_by_role("link")).to_have_count(0)

    page = watched.open(closed.server.address, f"/ui/#token={second}")
    assert "#" not in page.url
    page.reload()  # the tab keeps it
    choose(page, handed)
    assert_done(page, handed)
    assert page.evaluate("Object.values(localStorage).join()").count(second) == 0
    for file in (typed, handed):
        assert_stored(closed, file)
    assert not any(token in line for line in closed.server.log for token in (first, second))


def test_over_plain_http_from_elsewhere_only_the_checksum_of_pieces_is_missing(
    ui: Endpoint, watched: Watched
) -> None:
    file = watched.sample("plain.bin", 3 * MIB)
    watched.allow("Cross-Origin-Opener-Policy")
    page = watched.open((INSECURE_HOST, ui.server.address[1]))
    assert not page.evaluate("isSecureContext")
    choose(page, file)
    assert_done(page, file)
    assert_stored(ui, file)


def test_bytes_are_hashed_right_however_they_come(ui: Endpoint, watched: Watched) -> None:
    sizes = [*range(130), 1000, 4095, 4096, 65_537]
    page = watched.open(ui.server.address)
    hashes = page.evaluate(
        """async (sizes) => {
          const { Sha256 } = await import("/ui/sha256.js");
          return sizes.flatMap((size) => [1, 7, 63, 64, 65, 4096].map((step) => {
            const digest = new Sha256();
            const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7 + size) % 256);
            for (let at = 0; at < size; at += step) digest.update(bytes.subarray(at, at + step));
            return digest.hex();
          }));
        }""",
        sizes,
    )
    contents = [bytes((i * 7 + size) % 256 for i in range(size)) for size in sizes]
    assert hashes == [hashlib.sha256(each).hexdigest() for each in contents for _ in range(6)]


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        (503, "waiting", "The server cannot take it now (503). Next try in 30"),
        (429, "waiting", "The server asks for a pause. Next try in 30"),
        (423, "waiting", "The upload is in use elsewhere. Next try in 30"),
        (507, "failed", "The server has no room left."),
        (413, "failed", "The file is larger than the server takes."),
        (403, "failed", "The server refuses: not you"),
        (415, "failed", "The server refuses: not you"),
        (409, "done", "Uploaded"),
        (410, "done", "Uploaded"),
        (460, "done", "Uploaded"),
    ],
)
def test_a_refusal_is_told_and_gone_on_from_as_it_wants(
    ui: Endpoint, watched: Watched, status: int, state: str, words: str
) -> None:
    file = watched.sample(f"refused-{status}.bin", 70_000)
    watched.allow(f"{status}")
    page = watched.open(ui.server.address)
    refusal = {"status": status, "headers": {"Retry-After": "30"}, "body": "not you"}

    def refuse(route: Route) -> None:
        if route.request.method == "PATCH" and refusals:
            route.fulfill(**refusals.pop())
        else:
            route.continue_()

    refusals: list[dict[str, Any]] = [refusal]
    page.route("**/files/*", refuse)
    choose(page, file)
    expect(wait_for(page, file, state)).to_contain_text(words)
    if state in AGAIN:
        page.get_by_role("button", name=f"{AGAIN[state]} {file.name}").click()
    assert_done(page, file)
    assert file.sha256 in {
        hashlib.sha256(ui.stored(upload)).hexdigest() for upload in uploads_of(ui, file)
    }
