"""A fetched certificate counts only if it leads to a pinned root."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.crypto.chain import require_chain
from gateway.model.problems import ConfigurationError, NotProven
from tests.crypto.certificates import NOW, certificate

ROOT_KEY, MIDDLE_KEY, LEAF_KEY, EVIL_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(4))
ROOT = certificate("root", ROOT_KEY, ca=True)
MIDDLE = certificate("middle", MIDDLE_KEY, "root", ROOT_KEY, ca=True)
LEAF = certificate("leaf", LEAF_KEY, "middle", MIDDLE_KEY)


def test_a_leaf_leads_to_the_root_by_what_came_with_it_in_any_order() -> None:
    require_chain(LEAF + MIDDLE, [ROOT], NOW)
    require_chain(LEAF + ROOT + MIDDLE, [ROOT], NOW)
    require_chain(LEAF, [MIDDLE], NOW)
    require_chain(LEAF, [LEAF], NOW)


@pytest.mark.parametrize(
    "bundle",
    [
        LEAF,
        certificate("leaf", EVIL_KEY),
        certificate("leaf", EVIL_KEY, "root", EVIL_KEY) + certificate("root", EVIL_KEY, ca=True),
        certificate("leaf", EVIL_KEY, "middle", EVIL_KEY) + MIDDLE,
        certificate("evil", EVIL_KEY, "leaf", LEAF_KEY) + LEAF + MIDDLE,
    ],
    ids=["issuer missing", "self-signed", "a root of the same name", "a forged signature", "issued by a leaf"],
)
def test_what_leads_nowhere_is_not_proven(bundle: bytes) -> None:
    with pytest.raises(NotProven, match="no issuer"):
        require_chain(bundle, [ROOT], NOW)


def test_a_chain_is_valid_only_while_each_of_it_is() -> None:
    short = certificate("middle", MIDDLE_KEY, "root", ROOT_KEY, ca=True, days=1)

    require_chain(LEAF + short, [ROOT], NOW)

    for now in (NOW - timedelta(seconds=1), NOW + timedelta(days=2)):
        with pytest.raises(NotProven, match="valid from"):
            require_chain(LEAF + short, [ROOT], now)


def test_what_is_no_certificate_is_named() -> None:
    with pytest.raises(NotProven, match="what was fetched"):
        require_chain("nothing", [ROOT], NOW)
    with pytest.raises(ConfigurationError, match="a pinned root"):
        require_chain(LEAF, [b"nothing"], NOW)
    with pytest.raises(NotProven, match="11 certificates"):
        require_chain(LEAF * 11, [ROOT], NOW)


def test_a_chain_that_is_too_long_is_refused() -> None:
    names = ["root", "a", "b", "c", "d", "e", "leaf"]
    chain = [certificate(child, MIDDLE_KEY, parent, MIDDLE_KEY, ca=True) for parent, child in itertools.pairwise(names)]

    with pytest.raises(NotProven, match="more than 5"):
        require_chain(b"".join(reversed(chain)), [certificate("root", MIDDLE_KEY, ca=True)], NOW)
