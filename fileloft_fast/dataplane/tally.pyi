"""What is counted of every request, in one call."""

from typing import final

from typing_extensions import Buffer  # collections.abc has it from Python 3.12 on

@final
class Tally:
    """Where the requests of one method are counted, on a board of doubles.

    *requests* and *received* are places among *cells*; at *seconds* a histogram with *bounds*
    begins, laid out as ``observe.board`` does. The cells stay exported as long as it lives. For one
    thread: nobody else may write to these cells. Raises ValueError for cells that are not there.
    """

    def __new__(
        cls,
        cells: Buffer,
        requests: int,
        seconds: int,
        bounds: tuple[float, ...],
        received: int,
    ) -> Tally: ...
    def count(self, seconds: float, received: float) -> None:
        """Count a request that took so long, and so many bytes that nobody has counted yet."""
