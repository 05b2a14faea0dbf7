"""UK Open Banking (OBIE v4.0 and v3.1.11): transfers and account information, as a lendgate plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway import hookimpl

if TYPE_CHECKING:
    from lendgate_openbanking_uk.adapter import OpenBankingUK
    from lendgate_openbanking_uk.simulator import OpenBankingUKSimulator


@hookimpl
def adapters() -> Sequence[type[OpenBankingUK]]:
    """The adapter of this distribution."""
    from lendgate_openbanking_uk.adapter import OpenBankingUK

    return [OpenBankingUK]


@hookimpl
def simulators() -> Sequence[type[OpenBankingUKSimulator]]:
    """The simulated bank; imported only where a sandbox runs."""
    from lendgate_openbanking_uk.simulator import OpenBankingUKSimulator

    return [OpenBankingUKSimulator]
