"""One instalment purchase through four institutions, live: `python run.py demo [--keep]`.

The institutions are simulated, but everything else is real: signed HTTP on real sockets, TLS where the institution has
it, a gateway process on SQLite, and a shop that knows only the gateway's API. Five accidents happen on the way. At the
end the promises are checked against the institutions' own ledgers; the exit status says whether all were kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from examples.instalment_shop.client import Client
from examples.instalment_shop.people import Sandbox
from examples.instalment_shop.processes import Processes
from examples.instalment_shop.shop import RATE, THRESHOLD, Loan, Shop
from examples.instalment_shop.timeline import Timeline

SHOPPER: dict[str, Any] = {
    "name": "李雷",
    "identifiers": [{"scheme": "national_id", "value": "310101199001011237", "country": "CN"}],
    "phone": "13800138000",
    "birth_date": "1990-01-01",
}
OPENID = "oDemoShopper0000000000000001"


class Demo:
    """The purchase, step by step."""

    def __init__(self, processes: Processes, client: Client, sandbox: Sandbox, timeline: Timeline) -> None:
        self._processes = processes
        self._client = client
        self._sandbox = sandbox
        self._timeline = timeline
        loan = f"LN-{uuid.uuid4().hex[:8].upper()}"
        self._shop = Shop(client, Loan(loan, Decimal("1299.00"), 3, SHOPPER, f"person-{loan}"))
        self._ended: list[dict[str, Any]] = []

    @property
    def loan(self) -> str:
        return self._shop.loan.id

    async def run(self) -> None:
        loan = self._shop.loan
        self._timeline.heading(f"{loan.id}: a coat for ¥{loan.price} in {loan.instalments} instalments")
        await self._gate()
        await self._insure()
        await self._disburse()
        payment = await self._collect()
        await self._ship()
        await self._refund(payment)

    async def _gate(self) -> None:
        await self._sandbox.fail("alipay", "bad_gateway_before", "zhima.credit.score.brief.get", times=2)
        self._timeline.accident("the bureau's front door will answer 502 twice")
        report = await self._shop.gate()
        self._timeline.operation("bureau", f"Zhima score of {THRESHOLD}? {report['result'].get('outcome')}", report)
        self._timeline.promise(
            report["result"].get("outcome") == "passed" and report["attempts"] == 3,
            "two answers of something in between were taken for nothing; the third, signed one counted",
        )
        self._end(report)

    async def _insure(self) -> None:
        quote = await self._shop.quote()
        premium = quote["result"]["offers"][0]["premium"]
        self._timeline.operation("insurer", f"credit life for ¥{premium['amount']}", quote)
        policy = await self._follow(await self._shop.insure(quote), "succeeded")
        self._timeline.operation("insurer", f"policy {policy['result'].get('number')}", policy)
        self._end(policy)

    async def _disburse(self) -> None:
        loan = self._shop.loan
        transfer = await self._shop.disburse()
        self._timeline.operation("bank", f"£{loan.disbursed} to the merchant (¥1 = £{RATE})", transfer)
        self._timeline.say("treasurer", "opens the bank's page and approves")
        await self._sandbox.approve_at_the_bank(transfer["next_action"]["url"])
        transfer = await self._client.get(f"/v1/transfers/{transfer['id']}")
        for _ in range(3):
            await self._sandbox.tell("openbanking_uk", "settle")
        transfer = await self._follow(transfer, "succeeded")
        self._timeline.operation("bank", "disbursed", transfer)
        self._end(transfer)

    async def _collect(self) -> dict[str, Any]:
        payment = await self._shop.collect(1)
        self._timeline.operation("wallet", f"QR code for ¥{payment['amount']['amount']}", payment)
        order = payment["partner_key"]
        await self._sandbox.tell("alipay", "forge", out_trade_no=order, signature="stranger")
        self._timeline.accident("somebody who is not the wallet says that it was paid")
        await asyncio.sleep(0.5)
        still = await self._client.get(f"/v1/payments/{payment['id']}")
        self._timeline.operation("wallet", "still waits for the shopper", still)
        self._timeline.promise(still["state"] == "requires_action", "a forged notification changed nothing")
        await self._sandbox.tell("alipay", "notifications", copies=2)
        self._timeline.accident("the wallet will send its notification twice")
        self._timeline.say("shopper", "scans the code and pays")
        await self._sandbox.tell("alipay", "pay", out_trade_no=order)
        payment = await self._follow(payment, "succeeded")
        await asyncio.sleep(0.5)
        self._timeline.operation("wallet", "first instalment paid", payment)
        events = await self._client.get("/v1/events", operation=payment["id"])
        told = Counter(event["type"] for event in events["events"])
        self._timeline.promise(told["payment.succeeded"] == 1, "two notifications told the shop once that it was paid")
        self._end(payment)
        return payment

    async def _ship(self) -> None:
        transaction, paid_at = f"4200{uuid.uuid4().int % 10**24:024d}", datetime.now(UTC) - timedelta(minutes=5)
        await self._sandbox.tell(
            "wechat_freight",
            "transactions",
            transaction_id=transaction,
            openid=OPENID,
            amount_fen=43300,
            paid_at=int(paid_at.timestamp()),
        )
        self._timeline.say(
            "shopper", "paid a mini-program order by WeChat Pay, outside lendgate (seeded in the simulator)"
        )
        policy = await self._shop.insure_return(transaction, paid_at, Decimal("433.00"), OPENID)
        policy = await self._follow(policy, "succeeded")
        self._timeline.operation(
            "insurer", f"shipped, return freight insured: {policy['result'].get('number')}", policy
        )
        self._end(policy)

    async def _refund(self, payment: dict[str, Any]) -> None:
        await self._sandbox.fail("alipay", "close_after", "alipay.trade.refund", times=3)
        self._timeline.accident("the wallet will commit the refund and drop the connection, each time it is asked")
        refund = await self._shop.refund(payment)
        self._timeline.operation("wallet", "refund of the first instalment", refund)
        self._timeline.promise(
            refund["state"] == "unknown", "a refund without an answer is unknown, neither failed nor done"
        )
        refund = await self._follow(refund, "succeeded")
        self._timeline.operation("wallet", "settled by inquiry", refund)
        self._end(refund)

    async def check(self) -> None:
        """Compare what the shop was told with what the institutions did, and let the log prove itself."""
        self._timeline.heading("Promises")
        # The bank's page /authorize is opened by a person's browser; everything else came from the gateway.
        effects: Counter[tuple[str, str, str]] = Counter()
        arrived: Counter[str] = Counter()
        for name in self._sandbox.names:
            effects.update((name, e["kind"], e["key"]) for e in await self._sandbox.read(name, "ledger"))
            requests = await self._sandbox.read(name, "requests")
            arrived.update(r["digest"] for r in requests if "/authorize" not in r["operation"])
        for operation in self._ended:
            kind = {"credit_report": "report"}.get(operation["kind"], operation["kind"])
            count = effects[operation["partner"], kind, operation["partner_key"]]
            self._timeline.promise(
                count == 1, f"{operation['partner']}'s ledger has one {kind} for {operation['reference']}"
            )
        _, listing = await self._processes.command("audit", "intents", "--config", str(self._processes.config_path))
        intents = [json.loads(line) for line in listing.splitlines() if line.startswith("{")]
        left = Counter(intent["digest"] for intent in intents if intent["observed"] != "not_sent")
        count = sum(arrived.values())
        self._timeline.promise(
            arrived == left, f"each of the {count} requests that arrived had its durable intent before"
        )
        status, report = await self._processes.command("audit", "verify", "--config", str(self._processes.config_path))
        self._timeline.promise(
            status == 0, f"the log verifies: {report.strip().splitlines()[-1] if report else 'no answer'}"
        )

    async def _follow(self, operation: dict[str, Any], *states: str) -> dict[str, Any]:
        return await self._client.until(operation, *states, seconds=60)

    def _end(self, operation: dict[str, Any]) -> None:
        self._ended.append(operation)

    def closing(self) -> None:
        """Where everything is, and what to try next."""
        self._timeline.heading("Where things are")
        rows = [("gateway", self._processes.url), *sorted(self._sandbox.urls.items())]
        self._timeline.table("", ("what", "where"), rows)
        self._timeline.console.print(f"files: {self._processes.directory} (lendgate.toml, lendgate.db, logs)")


def try_next(processes: Processes, demo: Demo) -> list[str]:
    """Lines to type in while everything runs."""
    url, key = processes.url, processes.key("shop")
    bearer = f'-H "Authorization: Bearer {key}"'
    body = {
        "connection": "alipay",
        "reference": "ORDER-1",
        "amount": {"amount": "12.30", "currency": "CNY"},
        "method": {"type": "wallet_qr"},
        "description": "My first payment",
    }
    headers = "-H 'Content-Type: application/json' -H 'Idempotency-Key: my-key-1'"
    return [
        f"curl {bearer} {url}/v1/partners",
        f'curl {bearer} "{url}/v1/operations?link=loan={demo.loan}"',
        f"curl {bearer} {headers} -d '{json.dumps(body)}' {url}/v1/payments",
        f'curl {bearer} "{url}/v1/events?after=0"',
        f"{sys.executable} -m gateway.cli audit verify --config {processes.config_path}",
        f"open {url}/docs in a browser",
    ]


async def main(keep: bool) -> int:
    """Run the demo; the exit status. Told to end, it ends what it started."""
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    directory = Path(tempfile.mkdtemp(prefix="lendgate-demo-"))
    timeline = Timeline()
    processes = Processes(directory)
    try:
        timeline.say("demo", f"starts the institutions and the gateway (files in {directory})")
        await processes.start()
        urls = {name: str(url) for name, url in processes.config["sandbox"]["urls"].items()}
        async with Client(processes.url, processes.key("shop")) as client, Sandbox(urls) as sandbox:
            demo = Demo(processes, client, sandbox, timeline)
            await demo.run()
            await demo.check()
            demo.closing()
            if keep:
                timeline.heading("Try next (Ctrl-C ends it)")
                for line in try_next(processes, demo):
                    timeline.console.print(line, soft_wrap=True, markup=False)
                await _until_interrupted()
    finally:
        await processes.stop()
    if timeline.broken:
        timeline.console.print(f"\n{len(timeline.broken)} promises were broken; the files are kept in {directory}")
        return 1
    timeline.console.print("\nAll promises were kept.", style="bold green")
    if not keep:
        shutil.rmtree(directory, ignore_errors=True)
        timeline.console.print("Run it with --keep to leave everything running and try it yourself.")
    return 0


async def _until_interrupted() -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave the gateway and the institutions running")
    arguments = parser.parse_args()
    try:
        sys.exit(asyncio.run(main(arguments.keep)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(0)
