"""The gateway's HTTP API as commands call it: a handful of calls with a key, over the standard library."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gateway.cli.group import config_option
from gateway.model.problems import ConfigurationError, GatewayError

__all__ = ["API", "APIError", "api_options"]


class APIError(GatewayError):
    """The gateway did not answer, or refused. The message says what to do."""


@dataclass(frozen=True, slots=True)
class API:
    """One gateway, seen by one key."""

    url: str
    key: str

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """The JSON at `path`. Raises `APIError`."""
        from urllib.parse import urlencode

        return self._call("GET", f"{path}?{urlencode(parameters)}" if parameters else path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a POST of `body` answers. Raises `APIError`."""
        return self._call("POST", path, json.dumps(body).encode())

    def _call(self, method: str, path: str, body: bytes | None) -> Any:
        from urllib.error import HTTPError, URLError
        from urllib.request import Request, urlopen

        headers = {"Authorization": f"Bearer {self.key}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = Request(f"{self.url.rstrip('/')}{path}", data=body, headers=headers, method=method)
        try:
            with urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except HTTPError as refused:
            raise APIError(_refusal(refused.code, refused.read())) from None
        except (URLError, TimeoutError, ConnectionError) as wrong:
            reason = getattr(wrong, "reason", wrong)
            raise APIError(f"{self.url} cannot be reached ({reason}); is `lendgate serve` running there?") from None
        except ValueError:
            raise APIError(f"{self.url} does not answer as a lendgate gateway does; check --url") from None


def _refusal(status: int, body: bytes) -> str:
    try:
        problem = json.loads(body)
        detail = f"{problem['title']}: {problem['detail']}" if problem.get("detail") else str(problem["title"])
    except (ValueError, KeyError, TypeError):
        detail = "no explanation was given"
    hint = "; give an operator's key with --key or LENDGATE_KEY" if status in (401, 403) else ""
    return f"the gateway refused ({status}): {detail}{hint}"


def api_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--url`, `--key` and `--config`, handed over as one `api`."""

    @functools.wraps(command)
    def with_api(url: str | None, key: str | None, config_path: Path, **options: Any) -> Any:
        return command(api=_api(url, key, config_path), **options)

    wrapped: Callable[..., Any] = config_option(with_api)
    for name, variable, what in (
        ("--key", "LENDGATE_KEY", "An API key, best an operator's; if left out, one that the configuration names."),
        ("--url", "LENDGATE_URL", "Where the gateway is; if left out, where the configuration says."),
    ):
        wrapped = click.option(name, envvar=variable, show_envvar=True, help=what)(wrapped)
    return wrapped


def _api(url: str | None, key: str | None, config_path: Path) -> API:
    """What was given, completed from the configuration. Raises `ConfigurationError`."""
    if url is not None and key is not None:
        return API(url, key)
    from gateway.service.load import load

    if not config_path.exists():
        raise ConfigurationError(f"give --url and --key, or name a configuration: there is no {config_path} here")
    configuration = load(config_path)
    clients = sorted(configuration.clients.values(), key=lambda client: client.role != "operator")
    held = [secret for client in clients if client.role != "platform" for secret in client.key or ()]
    if key is None and not held:
        raise ConfigurationError(f"give an operator's key with --key or LENDGATE_KEY; {config_path} holds none")
    return API(url or configuration.gateway.url(), key or held[0].get_secret_value())
