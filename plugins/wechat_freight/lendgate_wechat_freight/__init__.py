"""The WeChat mini-program's return-freight insurance, as a lendgate plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway import hookimpl

if TYPE_CHECKING:
    from lendgate_wechat_freight.adapter import WechatFreight
    from lendgate_wechat_freight.simulator import WechatFreightSimulator


@hookimpl
def adapters() -> Sequence[type[WechatFreight]]:
    """The adapter of this distribution."""
    from lendgate_wechat_freight.adapter import WechatFreight

    return [WechatFreight]


@hookimpl
def simulators() -> Sequence[type[WechatFreightSimulator]]:
    """The simulated platform and insurer; imported only where a sandbox runs."""
    from lendgate_wechat_freight.simulator import WechatFreightSimulator

    return [WechatFreightSimulator]
