"""The Alipay OpenAPI gateway (payments, transfers, Zhima credit), as a lendgate plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway import hookimpl

if TYPE_CHECKING:
    from lendgate_alipay.adapter import Alipay
    from lendgate_alipay.simulator import AlipaySimulator


@hookimpl
def adapters() -> Sequence[type[Alipay]]:
    """The adapter of this distribution."""
    from lendgate_alipay.adapter import Alipay

    return [Alipay]


@hookimpl
def simulators() -> Sequence[type[AlipaySimulator]]:
    """The simulated gateway; imported only where a sandbox runs."""
    from lendgate_alipay.simulator import AlipaySimulator

    return [AlipaySimulator]
