from __future__ import annotations

import hashlib
import threading
import zlib
from functools import lru_cache
from typing import Final

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.dataplane import ALGORITHMS, Digest, digest_of, digest_size

NINE: Final = b"123456789"
# FIPS 180-4, RFC 1321, the CRC catalogue, and the xxhash package, of nothing and of "123456789"
GOLDEN: Final = {
    "sha1": (
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    ),
    "sha256": (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
    ),
    "sha512": (
        (
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
            "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
        ),
        (
            "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274a"
            "d27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85"
        ),
    ),
    "md5": ("d41d8cd98f00b204e9800998ecf8427e", "25f9e794323b453885f5181f1b624d0b"),
    "crc32": ("00000000", "cbf43926"),
    "crc32c": ("00000000", "e3069283"),
    "xxh3-64": ("2d06800538d394c2", "72dcb18b67a17dff"),
    "xxh128": ("99aa06d3014798d86001c324468d497f", "33119477ede5dcd5e9716427681d5860"),
    "crc64nvme": ("0000000000000000", "ae8b14860a799888"),
}
# NVM Command Set Specification 1.0a, 5.2.1.3.5: of 4 KiB
CRC64NVME: Final = {
    bytes(4096): "6482d367eb22b64e",
    b"\xff" * 4096: "c0ddba7302eca3ac",
    bytes(range(256)) * 16: "3e729f5f6750449c",
    bytes(reversed(range(256))) * 16: "9a2df64b8e9e517e",
}
# RFC 3720, B.4
CRC32C_RFC3720: Final = {
    bytes(32): "8a9136aa",
    b"\xff" * 32: "62a8ab43",
    bytes(range(32)): "46dd794e",
    bytes(reversed(range(32))): "113fdb5c",
}


def second_source(algorithm: str, data: bytes) -> bytes:
    match algorithm:
        case "crc32":
            return zlib.crc32(data).to_bytes(4, "big")
        case "crc32c":
            return crc_byte_by_byte(data, 32, 0x82F63B78).to_bytes(4, "big")
        case "crc64nvme":
            return crc_byte_by_byte(data, 64, 0x9A6C9329AC4BC9B5).to_bytes(8, "big")
        case "xxh3-64":
            return xxhash.xxh3_64_digest(data)
        case "xxh128":
            return xxhash.xxh3_128_digest(data)
        case _:
            return hashlib.new(algorithm, data).digest()


def crc_byte_by_byte(data: bytes, bits: int, polynomial: int) -> int:
    table = bytes_bit_by_bit(polynomial)
    ones = value = (1 << bits) - 1
    for byte in data:
        value = (value >> 8) ^ table[(value ^ byte) & 255]
    return value ^ ones


@lru_cache
def bytes_bit_by_bit(polynomial: int) -> list[int]:
    values = list(range(256))
    for _ in range(8):
        values = [(value >> 1) ^ (polynomial if value & 1 else 0) for value in values]
    return values


def test_every_algorithm_of_tus_passes_its_self_test_and_keeps_its_place() -> None:
    assert (*ALGORITHMS, "crc64nvme") == tuple(GOLDEN)


@pytest.mark.parametrize("algorithm", GOLDEN)
def test_golden_vectors(algorithm: str) -> None:
    empty, nine = GOLDEN[algorithm]
    running = Digest(algorithm)
    assert running.algorithm == algorithm
    assert running.digest().hex() == empty
    running.update(NINE)
    assert running.digest().hex() == nine
    assert digest_of(algorithm, b"").hex() == empty
    assert digest_of(algorithm, NINE).hex() == nine
    assert digest_size(algorithm) == len(bytes.fromhex(nine))


@pytest.mark.parametrize(("data", "expected"), CRC32C_RFC3720.items())
def test_crc32c_vectors_of_rfc_3720(data: bytes, expected: str) -> None:
    assert digest_of("crc32c", data).hex() == expected


@pytest.mark.parametrize(("data", "expected"), CRC64NVME.items(), ids=["0", "1", "up", "down"])
def test_crc64nvme_vectors_of_the_nvm_command_set(data: bytes, expected: str) -> None:
    assert digest_of("crc64nvme", data).hex() == expected


@pytest.mark.parametrize("algorithm", GOLDEN)
@given(data=st.binary(max_size=4096), cuts=st.lists(st.integers(0, 4096), max_size=8))
def test_digest_does_not_depend_on_how_the_network_cuts_the_body(
    algorithm: str, data: bytes, cuts: list[int]
) -> None:
    running = Digest(algorithm)
    ends = [*sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in zip([0, *ends], ends, strict=False):
        running.update(data[start:end])
    assert running.digest() == second_source(algorithm, data)


@pytest.mark.parametrize("algorithm", GOLDEN)
@pytest.mark.parametrize("length", [6143, 6144, 6145, 16383, 16384, 20011, 300_000])
def test_long_input_around_the_thresholds_of_the_kernels(algorithm: str, length: int) -> None:
    data = (bytes(range(251)) * (length // 251 + 1))[:length]
    for shift in range(3):
        running = Digest(algorithm)
        running.update(memoryview(data)[shift:])
        assert running.digest() == second_source(algorithm, data[shift:])


@pytest.mark.parametrize("algorithm", GOLDEN)
def test_digest_may_be_asked_for_in_between_and_reset_begins_anew(algorithm: str) -> None:
    running = Digest(algorithm)
    running.update(NINE[:4])
    running.digest()
    running.update(NINE[4:])
    assert running.digest() == running.digest() == second_source(algorithm, NINE)
    running.reset()
    assert running.digest() == second_source(algorithm, b"")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_contiguous_buffer_is_taken(kind: type) -> None:
    running = Digest("sha1")
    running.update(kind(NINE))
    assert running.digest() == digest_of("sha1", kind(NINE)) == hashlib.sha1(NINE).digest()


def test_what_is_not_contiguous_bytes_is_refused() -> None:
    running = Digest("sha1")
    with pytest.raises(BufferError):
        running.update(memoryview(NINE)[::2])
    with pytest.raises(TypeError):
        running.update("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        running.update(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "SHA1", "sha3", "crc64", "sha-1"])
def test_an_unknown_algorithm_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="unknown"):
        Digest(name)
    with pytest.raises(ValueError, match="unknown"):
        digest_of(name, b"")
    with pytest.raises(ValueError, match="unknown"):
        digest_size(name)


def test_a_digest_that_was_never_initialised_does_nothing() -> None:
    hollow = Digest.__new__(Digest)
    for use in (hollow.digest, hollow.reset, lambda: hollow.update(b"x")):
        with pytest.raises(RuntimeError):
            use()


def test_two_threads_cannot_update_one_digest_at_once() -> None:
    running = Digest("sha512")
    data = bytes(64 << 20)
    refused = threading.Event()

    def meddle() -> None:
        while not finished.is_set():
            try:
                running.digest()
            except RuntimeError:
                refused.set()

    finished = threading.Event()
    meddler = threading.Thread(target=meddle)
    meddler.start()
    running.update(data)
    finished.set()
    meddler.join()
    assert refused.is_set()
    assert running.digest() == hashlib.sha512(data).digest()
