"""What an errno means for a request: the client's doing, a full disk, a busy server, a bad disk."""

from __future__ import annotations

import errno

import pytest

from fileloft_fast.stores.fs.failures import PEER_ERRNOS, store_error

STATUSES = {
    errno.ENOSPC: 507,
    errno.EDQUOT: 507,
    errno.EFBIG: 507,
    errno.EMFILE: 503,
    errno.ENFILE: 503,
    errno.ENOMEM: 503,
    errno.EIO: 500,
    errno.EROFS: 500,
    errno.ESTALE: 500,
}
PEERS = (
    errno.ECANCELED,
    errno.ECONNABORTED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EPIPE,
    errno.EPROTO,
    errno.ETIMEDOUT,
)


@pytest.mark.parametrize(("number", "status"), STATUSES.items(), ids=str)
def test_an_error_of_the_disk_has_its_status(number: int, status: int) -> None:
    assert store_error(OSError(number, "as the kernel says")).status == status
    assert number not in PEER_ERRNOS


@pytest.mark.parametrize("number", PEERS, ids=errno.errorcode.get)
def test_a_connection_that_broke_is_no_failure_of_the_disk(number: int) -> None:
    assert number in PEER_ERRNOS
