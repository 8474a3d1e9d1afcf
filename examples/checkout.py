"""Charge a card, then send a mail: a program that a crash can neither make charge twice nor forget the mail.

    python -m examples.checkout order-1 1999 ada@example.com

Kill it at any moment, and give the same command again: it goes on where it stood. The journal is at `$INTERP_STORE`,
and the payment provider and the mail server are at `$SHOP_URL`.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import attrs

import interp
from interp import Retry, Workflow, activity, call, current_call, workflow

__all__ = ["CardDeclined", "Order", "Receipt", "charge_card", "checkout", "send_mail"]


@attrs.frozen
class Order:
    """What a customer has ordered."""

    id: str
    cents: int
    email: str


@attrs.frozen
class Receipt:
    """What the payment provider answers when it has taken the money."""

    charge: str
    cents: int


class CardDeclined(Exception):
    """The provider said no: an answer, not a fault, so that trying again would be wrong."""


@workflow
def checkout(order: Order) -> Workflow[str]:
    """Charge the card, then tell the customer."""
    try:
        receipt = yield from call(charge_card, order)
    except CardDeclined:
        return f"{order.id} was declined"
    mail = yield from call(send_mail, order, receipt)
    return f"{order.id} is paid by {receipt.charge}, confirmed by {mail}"


@activity(raises=CardDeclined, retry=Retry(attempts=5), timeout=timedelta(seconds=30))
def charge_card(order: Order) -> Receipt:
    """Take the money."""
    # When this process dies after the provider has taken the money and before the receipt is in the journal, nobody
    # here knows that it was taken, and the attempt is made again. Every attempt of this call has the same key, so that
    # the provider recognises the second one, and answers with the charge that it has made already.
    key = current_call().idempotency_key
    try:
        answer = _post("/charges", {"order": order.id, "cents": order.cents}, key)
    except HTTPError as error:
        if error.code == 402:
            raise CardDeclined(order.id) from error
        raise  # any other answer is a fault: tried again, by the policy above
    return Receipt(answer["charge"], answer["cents"])


@activity(retry=Retry(attempts=5), timeout=timedelta(seconds=30))
def send_mail(order: Order, receipt: Receipt) -> str:
    """Tell the customer, and return the id of the mail."""
    # Mail servers do not look for duplicates. The key makes the message id, by which the customer's mail program
    # does: whoever dies right here sends the same mail twice, and not two mails.
    key = current_call().idempotency_key
    text = f"Thank you for {order.id}. We have charged {receipt.cents / 100:.2f} ({receipt.charge})."
    answer = _post("/mails", {"order": order.id, "to": order.email, "text": text}, key)
    return str(answer["mail"])


def _post(path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    """Send JSON to the shop's outside world, and return its answer."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = Request(os.environ["SHOP_URL"] + path, json.dumps(body).encode(), headers)
    with urlopen(request, timeout=20) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def main(order_id: str, cents: str, email: str) -> None:
    """Start the checkout of an order, or go on with it, and print how it ended."""
    # The order's id is the run's id: whoever runs the same order again gets the run that exists, not a second one.
    print(interp.run(checkout, Order(order_id, int(cents), email), id=order_id))


if __name__ == "__main__":
    main(*sys.argv[1:])
