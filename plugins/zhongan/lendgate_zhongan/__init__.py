"""ZhongAn's legacy open platform: its envelope, over a sample policy service, as a lendgate plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway import hookimpl

if TYPE_CHECKING:
    from lendgate_zhongan.adapter import Zhongan
    from lendgate_zhongan.simulator import ZhonganSimulator


@hookimpl
def adapters() -> Sequence[type[Zhongan]]:
    """The adapter of this distribution."""
    from lendgate_zhongan.adapter import Zhongan

    return [Zhongan]


@hookimpl
def simulators() -> Sequence[type[ZhonganSimulator]]:
    """The simulated insurer; imported only where a sandbox runs."""
    from lendgate_zhongan.simulator import ZhonganSimulator

    return [ZhonganSimulator]
