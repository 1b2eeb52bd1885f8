"""tuspy_upload ENDPOINT FILE URLS [MODE...]: upload FILE with tuspy and print the upload's URL.

URLS is where tuspy keeps the URL of an unfinished upload, so that another run goes on with it.
MODE: checksum, bearer:TOKEN.
"""

from __future__ import annotations

import sys
from typing import Final

from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage

_CHUNK_BYTES: Final = 8 * 1024 * 1024


def main(endpoint: str, file: str, urls: str, *modes: str) -> None:
    token = next((mode.removeprefix("bearer:") for mode in modes if mode.startswith("bearer:")), "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    uploader = TusClient(endpoint, headers=headers).uploader(
        file,
        chunk_size=_CHUNK_BYTES,
        metadata={"filename": "sample.bin"},
        retries=20,
        retry_delay=0,
        store_url=True,
        url_storage=FileStorage(urls),  # type: ignore[no-untyped-call]
        upload_checksum="checksum" in modes,
    )
    uploader.upload()
    sys.stdout.write(f"{uploader.url}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
