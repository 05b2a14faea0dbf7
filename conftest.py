"""What holds for every test here and in the plugins: nothing leaves this machine, and no example is timed."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Any

import pytest
from hypothesis import settings

# A slow machine is not a bug. Where a red build must mean the same thing twice, the examples are the same every time.
settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def stay_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test that dials out. The failure is no `Exception`, so no retry and no adapter can swallow it."""
    dial = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):
            pytest.fail(f"a test dials {address}; tests stay on this machine")
        dial(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


def is_loopback(host: str) -> bool:
    """Whether the address is this machine; a name other than localhost is taken to be another one."""
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
