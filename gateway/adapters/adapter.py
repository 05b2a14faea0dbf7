"""The class that every adapter extends: `class Riverbank(Adapter[RiverbankSettings], CreatePayment, FetchPayment)`.

Mistakes show when the class is made, with the remedy in the message: a verb that is not async, a verb whose abstract
class is not among the bases, terms of another kind, a missing name. What an adapter declares is read once, here.
"""

from __future__ import annotations

import inspect
from abc import ABC
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from gateway.adapters.terms import marks_of
from gateway.adapters.verbs import VERBS, ReadCallbacks
from gateway.model.initiations import Memory
from gateway.model.message import Reply, Scheme
from gateway.model.problems import AdapterError
from gateway.model.schema import Model
from gateway.model.terms import Terms

__all__ = ["Adapter", "Settings"]


class Settings(Model):
    """What an operator configures for one connection: typed, with a description on each field. Never a secret."""


S = TypeVar("S", bound=Settings)
ANSWERS_WITHOUT_ASKING = frozenset({"read", "acknowledge"})


class Adapter(ABC, Generic[S]):
    """One institution in its own protocol. An instance belongs to one connection and keeps nothing but its settings.

    `name` is the partner's name in the API and in configuration, `version` the protocol's version that was followed.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    version: ClassVar[str] = ""
    settings_model: ClassVar[type[Settings]]
    terms: ClassVar[dict[str, Terms]] = {}
    memories: ClassVar[dict[str, type[Memory]]] = {}

    @property
    def scheme(self) -> Scheme:
        """How messages are signed: overridden by an attribute, or by a property that reads the settings."""
        raise AdapterError(f"{type(self).__name__} does not say how messages are signed")

    def __init__(self, settings: S) -> None:
        self.settings = settings
        self.verbs: dict[str, Any] = {name: getattr(self, name) for name in type(self).terms}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        declared = _declared_settings(cls)
        if declared is None:
            if not inspect.isabstract(cls) and "settings_model" not in vars(cls) and not hasattr(cls, "settings_model"):
                raise AdapterError(
                    f"{cls.__name__}: name the settings, as in `class {cls.__name__}(Adapter[MySettings], …)`"
                )
        else:
            cls.settings_model = declared
        if not isinstance(getattr(cls, "name", None), str):
            raise AdapterError(f'{cls.__name__}: give it a name, as in `name = "{cls.__name__.lower()}"`')
        if cls.scheme is Adapter.scheme:
            raise AdapterError(f"{cls.__name__}: say how messages are signed, as in `scheme = Unsigned()`")
        cls.terms = {verb: _terms(cls, verb) for verb in VERBS if _declares(cls, verb)}
        cls.memories = {memory.__name__: memory for memory in _memories(cls)}

    def code(self, reply: Reply) -> str | None:
        """Where this partner's replies keep their code. Pure; read by the core on proven bytes only.

        The default reads the HTTP status, which tells `BUSY` where terms list "429".
        """
        return str(reply.status)

    def read_callbacks(self) -> ReadCallbacks | None:
        """Itself, where it reads callbacks."""
        return self if isinstance(self, ReadCallbacks) else None


def _declared_settings(cls: type) -> type[Settings] | None:
    for base in getattr(cls, "__orig_bases__", ()):
        if get_origin(base) is Adapter:
            (argument,) = get_args(base)
            if isinstance(argument, type) and issubclass(argument, Settings):
                return argument
    return None


def _declares(cls: type, verb: str) -> bool:
    declared_by = VERBS[verb].declared_by
    method = getattr(cls, verb, None)
    if not issubclass(cls, declared_by):
        if method is not None:
            raise AdapterError(f"{cls.__name__}.{verb}: add {declared_by.__name__} to the bases of {cls.__name__}")
        return False
    if method is None or getattr(method, "__isabstractmethod__", False):
        raise AdapterError(f"{cls.__name__}: {declared_by.__name__} promises {verb}; write it or take the base away")
    if not inspect.iscoroutinefunction(method):
        raise AdapterError(f"{cls.__name__}.{verb}: write it as `async def`")
    return True


def _terms(cls: type, verb: str) -> Terms:
    marks = marks_of(getattr(cls, verb))
    if marks is None:
        raise AdapterError(f"{cls.__name__}.{verb}: put its terms beside it, as in `@payment_terms(codes={{…}})`")
    expected = inspect.signature(getattr(VERBS[verb].declared_by, verb)).return_annotation
    if expected not in {answer.__name__ for answer in marks.answers}:
        kind = marks.answers[0].__name__
        raise AdapterError(f"{cls.__name__}.{verb} answers with {expected}, but its terms are for {kind}")
    return marks.value


def _memories(cls: type) -> set[type[Memory]]:
    """Every `Memory` that a base names, such as `RedirectTransfers[ConsentMemory]`."""
    found: set[type[Memory]] = set()
    for base in cls.__mro__:
        for origin in getattr(base, "__orig_bases__", ()):
            found.update(a for a in get_args(origin) if isinstance(a, type) and issubclass(a, Memory))
    return found
