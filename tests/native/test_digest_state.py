"""States of sha256 and sha512 that are kept, and digests that go on from them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.dataplane import Digest, digest_of

ROOT: Final = Path(__file__).parents[2]
# FIPS 180-4, 5.3.3 and 5.3.5
BEGINNING: Final = {
    "sha256": "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19",
    "sha512": (
        "6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1"
        "510e527fade682d19b05688c2b3e6c1f1f83d9abfb41bd6b5be0cd19137e2179"
    ),
}
BLOCKS: Final = {"sha256": 64, "sha512": 128}
SIZES: Final = {"sha256": 108, "sha512": 204}
MOST_BYTES: Final = 1 << 61

RESTORABLE: Final = pytest.mark.parametrize("algorithm", BLOCKS)
CUTS: Final = st.lists(st.integers(0, 700), max_size=6)


def fed(algorithm: str, data: bytes) -> Digest:
    running = Digest(algorithm)
    running.update(data)
    return running


def in_pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = [*sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def sealed(state: bytes) -> bytes:
    return state + digest_of("crc32c", state)


def crafted(algorithm: str, count: int, block: bytes = b"") -> bytes:
    h = bytes.fromhex(BEGINNING[algorithm])
    return sealed(h + count.to_bytes(8, "big") + block.ljust(BLOCKS[algorithm], b"\0"))


def padding(algorithm: str, count: int) -> bytes:
    """Return what FIPS 180-4, 5.1 puts behind a message of *count* bytes."""
    block = BLOCKS[algorithm]
    bits = (count * 8).to_bytes(block // 8, "big")
    return b"\x80" + bytes((-count - 1 - len(bits)) % block) + bits


@RESTORABLE
def test_what_a_state_looks_like(algorithm: str) -> None:
    assert fed(algorithm, b"").state() == crafted(algorithm, 0)
    assert fed(algorithm, b"123456789").state() == crafted(algorithm, 9, b"123456789")
    assert len(fed(algorithm, b"").state()) == SIZES[algorithm]


@RESTORABLE
@pytest.mark.parametrize("length", [0, 1, 55, 56, 64, 111, 112, 128, 1000])
def test_the_words_of_a_state_are_those_of_the_standard(algorithm: str, length: int) -> None:
    data = bytes(range(250)) * 4
    message = data[:length]
    whole = message + padding(algorithm, length)
    h = hashlib.new(algorithm, message).digest()  # of the message and its padding
    count = len(whole).to_bytes(8, "big")
    assert fed(algorithm, whole).state() == sealed(h + count + bytes(BLOCKS[algorithm]))


@RESTORABLE
@given(data=st.binary(max_size=700), cuts=CUTS)
def test_a_digest_that_is_kept_and_restored_at_every_cut_is_that_of_the_whole(
    algorithm: str, data: bytes, cuts: list[int]
) -> None:
    running = Digest(algorithm)
    for piece in in_pieces(data, cuts):
        running = Digest.restored(algorithm, running.state())
        running.update(piece)
    assert running.algorithm == algorithm
    assert running.digest() == hashlib.new(algorithm, data).digest()


@RESTORABLE
@given(data=st.binary(max_size=700), cuts=CUTS)
def test_a_state_does_not_depend_on_the_cuts(algorithm: str, data: bytes, cuts: list[int]) -> None:
    running = Digest(algorithm)
    for piece in in_pieces(data, cuts):
        running.update(piece)
        running.digest()
    state = running.state()
    assert state == running.state() == fed(algorithm, data).state()
    assert Digest.restored(algorithm, state).state() == state


@RESTORABLE
def test_the_count_is_that_of_all_bytes(algorithm: str) -> None:
    running = Digest(algorithm)
    assert running.seen == 0
    running.update(bytes(1000))
    assert running.seen == 1000
    running = Digest.restored(algorithm, running.state())
    running.update(bytes(300_000))
    assert running.seen == 301_000
    assert Digest.restored(algorithm, crafted(algorithm, MOST_BYTES - 256)).seen == (
        MOST_BYTES - 256
    )
    running.reset()
    assert running.seen == 0


@RESTORABLE
def test_a_restored_digest_begins_anew_by_a_reset(algorithm: str) -> None:
    running = Digest.restored(algorithm, fed(algorithm, bytes(1000)).state())
    running.reset()
    running.update(b"x")
    assert running.digest() == hashlib.new(algorithm, b"x").digest()


@RESTORABLE
@pytest.mark.parametrize("count", [(1 << 29) - 128, 1 << 29, 1 << 32, MOST_BYTES - 256])
def test_a_count_of_more_than_half_a_gigabyte_is_kept_and_hashed(
    algorithm: str, count: int
) -> None:
    state = crafted(algorithm, count)
    by_hand = Digest.restored(algorithm, state)
    assert by_hand.state() == state
    by_hand.update(padding(algorithm, count))
    h = by_hand.state()[: len(bytes.fromhex(BEGINNING[algorithm]))]
    assert Digest.restored(algorithm, state).digest() == h


@RESTORABLE
@given(data=st.binary(max_size=300), place=st.integers(0, 107), flips=st.integers(1, 255))
def test_a_state_with_a_wrong_byte_is_refused(
    algorithm: str, data: bytes, place: int, flips: int
) -> None:
    state = bytearray(fed(algorithm, data).state())
    state[place] ^= flips
    with pytest.raises(ValueError, match="state"):
        Digest.restored(algorithm, bytes(state))


@RESTORABLE
def test_a_state_of_another_size_is_refused(algorithm: str) -> None:
    state = fed(algorithm, bytes(300)).state()
    for wrong in (*(state[:size] for size in range(len(state))), state + b"\0", state * 2):
        with pytest.raises(ValueError, match="state"):
            Digest.restored(algorithm, wrong)


@RESTORABLE
@pytest.mark.parametrize("count", [0, 5, 9, MOST_BYTES + 10, (1 << 64) - 1])
def test_a_state_that_no_run_can_have_is_refused(algorithm: str, count: int) -> None:
    with pytest.raises(ValueError, match="state"):
        Digest.restored(algorithm, crafted(algorithm, count, b"0123456789"))
    possible = Digest.restored(algorithm, crafted(algorithm, 10, b"0123456789"))
    assert possible.digest() == hashlib.new(algorithm, b"0123456789").digest()


@given(noise=st.binary(min_size=104, max_size=104), more=st.binary(min_size=96, max_size=96))
def test_noise_that_is_sealed_is_refused_or_harmless(noise: bytes, more: bytes) -> None:
    for algorithm, body in (("sha256", noise), ("sha512", noise + more)):
        try:
            running = Digest.restored(algorithm, sealed(body))
        except ValueError:
            continue
        running.update(bytes(1000))
        assert len(running.digest()) == hashlib.new(algorithm).digest_size


def test_a_state_is_of_one_algorithm() -> None:
    with pytest.raises(ValueError, match="state"):
        Digest.restored("sha512", Digest("sha256").state())
    with pytest.raises(ValueError, match="state"):
        Digest.restored("sha256", Digest("sha512").state())


@pytest.mark.parametrize("algorithm", ["sha1", "md5", "crc32", "crc64nvme", "xxh128"])
def test_only_sha256_and_sha512_have_a_state(algorithm: str) -> None:
    with pytest.raises(ValueError, match="no state"):
        Digest(algorithm).state()
    with pytest.raises(ValueError, match="no state"):
        _ = Digest(algorithm).seen
    with pytest.raises(ValueError, match="no state"):
        Digest.restored(algorithm, Digest("sha256").state())
    with pytest.raises(ValueError, match="no state"):
        Digest.restored("sha-256", Digest("sha256").state())


def test_what_is_not_a_state_at_all() -> None:
    for wrong in (None, "state", bytearray(108)):
        with pytest.raises(TypeError):
            Digest.restored("sha256", wrong)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        Digest.__new__(Digest).state()


@RESTORABLE
def test_no_state_is_given_while_a_thread_updates(algorithm: str) -> None:
    running = Digest(algorithm)
    data = bytes(32 << 20)
    given: list[bytes] = []
    refused = threading.Event()
    finished = threading.Event()

    def meddle() -> None:
        while not finished.is_set():
            try:
                given.append(running.state())
            except RuntimeError:
                refused.set()

    meddler = threading.Thread(target=meddle)
    meddler.start()
    running.update(data)
    finished.set()
    meddler.join()
    assert refused.is_set()
    assert set(given) <= {Digest(algorithm).state(), running.state()}
    assert running.digest() == hashlib.new(algorithm, data).digest()


def test_what_libcrypto_refuses_is_not_offered_though_the_old_calls_would_hash_it(
    tmp_path: Path,
) -> None:
    strict = tmp_path / "openssl.cnf"
    strict.write_text(
        "openssl_conf = init\n[init]\nalg_section = properties\n"
        "[properties]\ndefault_properties = fips=yes\n"
    )
    asked = (
        "from fileloft_fast.dataplane import ALGORITHMS, Digest\n"
        "print(*ALGORITHMS)\n"
        "try:\n    Digest('sha256')\nexcept ValueError as error:\n    print(error)\n"
    )
    result = subprocess.run(
        ["env", f"OPENSSL_CONF={strict}", sys.executable, "-c", asked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines() == [
        "crc32 crc32c xxh3-64 xxh128",
        "libcrypto refuses sha256",
    ]
    assert "checksum sha512 is not offered: libcrypto refuses sha512" in result.stderr
