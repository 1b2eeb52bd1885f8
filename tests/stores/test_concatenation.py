"""Final uploads on every store, in every mode: made within the store where it can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.deadline import eventually
from tests.endpoint import metadata
from tests.stores.clouds import Clouds, key_of
from tests.stores.faulty import How, at_times, is_copy
from tests.stores.shop import BYTES, SHOPS, Shop, open_shop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.faulty import Asked

pytestmark = pytest.mark.e2e

# In parts, the last one of each a few bytes longer than that.
LARGE = (1.2, 1.0, 0.4)
SMALL = (0.01, 0.02, 0.005)
MIXED = (0.1, 1.2, 0.0, 0.3, 1.0)


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    with Clouds(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module", params=SHOPS)
def shared_shop(
    request: pytest.FixtureRequest, clouds: Clouds, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    name, mode = request.param.split()
    with ExitStack() as stack:
        yield open_shop(clouds[name], tmp_path_factory.mktemp("spool"), mode, stack)


@pytest.fixture
def shop(shared_shop: Shop) -> Shop:
    shared_shop.proxy.heal()
    return shared_shop


def partials(shop: Shop, sizes: tuple[float, ...]) -> tuple[list[str], bytes]:
    """Return finished partial uploads of so many parts each, and what they are together."""
    made: list[str] = []
    whole, at = b"", 0
    for size in sizes:
        content = BYTES[at : at + int(size * shop.part)]
        made.append(shop.tus.finish(content, {"Upload-Concat": "partial"}))
        whole, at = whole + content, at + 1000
    return made, whole


def join(shop: Shop, made: list[str], **headers: str) -> str:
    """Return the final upload of *made*."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = shop.tus.post({"Upload-Concat": f"final;{' '.join(made)}", **told})
    assert answer.status == 201, answer
    return shop.tus.path_of(answer)


def assert_alone(shop: Shop, final: str) -> None:
    """Assert that nothing was left behind by the making of *final*."""
    key = key_of(final)
    eventually(
        lambda: sorted(each for each in shop.keys() if key in each) == [key, f"{key}.info"],  # noqa: SIM118
        every_s=0.05,
    )
    assert key not in shop.cloud.sessions()
    eventually(lambda: not list(shop.tus.server.data.rglob(f"{key}*")))


@pytest.mark.parametrize("sizes", [LARGE, SMALL, MIXED], ids=["large", "small", "mixed"])
def test_a_final_upload_is_its_partials(shop: Shop, sizes: tuple[float, ...]) -> None:
    made, whole = partials(shop, sizes)
    told = metadata(filename="whole.txt", filetype="text/plain")
    final = join(shop, made, Upload_Metadata=told)
    kept = shop.assert_holds(final, whole)
    assert (kept.kind, kept.disposition) == ("text/plain", 'inline; filename="whole.txt"')
    assert kept.metadata["fileloft-id"] == key_of(final)
    assert_alone(shop, final)
    head = shop.tus.head(final)
    assert head["Upload-Concat"].startswith("final;")
    assert head["Upload-Length"] == str(len(whole))
    assert shop.tus.append(final, len(whole), b"more").status == 403
    assert shop.tus.ask("GET", final).body == whole
    for upload in made:
        assert shop.tus.head(upload)["Upload-Concat"] == "partial"


def test_the_bytes_of_large_partials_stay_in_the_store(shop: Shop) -> None:
    made, whole = partials(shop, LARGE)
    if shop.mode == "spool":
        assert not [upload for upload in made if shop.look(upload)]
    shop.proxy.heal()
    copies = 0

    def script(asked: Asked) -> None:
        nonlocal copies
        copies += is_copy(asked)

    shop.proxy.script = script
    final = join(shop, made)
    shop.assert_holds(final, whole)
    if shop.mode == "spool":
        assert not copies
        return
    assert copies
    if shop.tus.server.settings["FILELOFT_BACKEND"] != "azure":  # Azurite refuses to copy blocks
        assert shop.proxy.passed_up + shop.proxy.passed_down < 64 * 1024


def test_partials_without_a_byte_make_an_empty_upload(shop: Shop) -> None:
    made, _ = partials(shop, (0.0, 0.0))
    final = join(shop, made)
    shop.assert_holds(final, b"")
    assert_alone(shop, final)


def test_more_partials_than_a_store_takes_at_once(shop: Shop) -> None:
    made = [shop.tus.finish(b"%d," % n, {"Upload-Concat": "partial"}) for n in range(35)]
    final = join(shop, [*made, made[0], made[0]])
    whole = b"".join(b"%d," % n for n in range(35)) + b"0,0,"
    shop.assert_holds(final, whole)
    assert_alone(shop, final)


def test_a_partial_that_is_not_finished_is_none(shop: Shop) -> None:
    made, _ = partials(shop, (0.1,))
    begun = shop.tus.create_holding(b"abc", 10)
    for names in ([*made, begun], [*made, f"/files/{'0' * 32}"], made[:0]):
        answer = shop.tus.post({"Upload-Concat": f"final;{' '.join(names)}"})
        assert answer.status in {400, 403, 404, 409}, answer


@pytest.mark.parametrize("how", [How.BUSY, How.LOST])
def test_a_join_over_a_faulty_way_makes_one_object(shop: Shop, how: How) -> None:
    made, whole = partials(shop, (1.2, 0.3))
    shop.proxy.script = at_times(how, lambda asked: asked.method in {"POST", "PUT"})
    final = join(shop, made)
    shop.assert_holds(final, whole)
    assert shop.proxy.seen[how] >= 1
    shop.proxy.heal()
    key = key_of(final)
    eventually(lambda: shop.state(final) == "stored")
    assert not [each for each in shop.keys() if key in each and each not in {key, f"{key}.info"}]  # noqa: SIM118


def test_final_and_partials_are_terminated_each_by_itself(shop: Shop) -> None:
    made, whole = partials(shop, (0.2, 0.3))
    final = join(shop, made)
    shop.assert_holds(final, whole)
    for upload in made:
        assert shop.tus.ask("DELETE", upload).status == 204
        shop.assert_gone(upload)
    shop.assert_holds(final, whole)
    assert shop.tus.ask("DELETE", final).status == 204
    shop.assert_gone(final)


@pytest.mark.parametrize("setting", SHOPS)
def test_partials_may_go_with_the_final_one(setting: str, clouds: Clouds, tmp_path: Path) -> None:
    name, mode = setting.split()
    with ExitStack() as stack:
        own = {"ENABLE_CLEANUP_CONCAT_PARTIALS": "1"}
        shop = open_shop(clouds[name], tmp_path / "spool", mode, stack, **own)
        for sizes in (LARGE, SMALL):
            made, whole = partials(shop, sizes)
            final = join(shop, made)
            shop.assert_holds(final, whole)
            for upload in made:
                shop.assert_gone(upload)
