"""Take the pictures of the guide anew: ``python -m tests.pages.pictures``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from tests.pages.conftest import launched
from tests.pages.scene import SETTINGS, show_uploads
from tests.pages.watched import Watched
from tests.proxy import Proxy
from tests.server import Server

IMAGES: Final = Path(__file__).parents[2] / "docs" / "guide" / "images"
VIEW: Final = {"width": 800, "height": 900}


def main() -> None:
    """Write a picture for each colour scheme."""
    IMAGES.mkdir(exist_ok=True)
    settings = {f"FILELOFT_{name}": value for name, value in SETTINGS.items()}
    with tempfile.TemporaryDirectory() as folder, launched() as browser:
        for scheme in ("light", "dark"):
            data = Path(folder) / scheme
            with (
                Server(data, settings) as server,
                Proxy(server.address) as proxy,
                Watched(browser, Path(folder)) as watched,
            ):
                page = show_uploads(watched, proxy, color_scheme=scheme, viewport=VIEW)
                page.screenshot(path=IMAGES / f"page-{scheme}.png", full_page=True)


if __name__ == "__main__":
    main()
