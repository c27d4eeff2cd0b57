import json

from pogo.pusher.webhooks import sign_webhook, webhook_body

OCCUPIED = b'{"name":"channel_occupied","channel":"news","id":"1"}'
VACATED = b'{"name":"channel_vacated","channel":"caf\xc3\xa9","id":"2"}'


def test_body_of_one() -> None:
    """One event stands in a list, as it was written."""
    expected = b'{"time_ms":1700000000123,"events":[' + OCCUPIED + b"]}"

    assert expected == webhook_body(1_700_000_000_123, [OCCUPIED])


def test_body_keeps_order() -> None:
    """Several events come in their order, and the whole is JSON."""
    body = json.loads(webhook_body(1, [VACATED, OCCUPIED]))

    assert {"time_ms": 1, "events": [json.loads(VACATED), json.loads(OCCUPIED)]} == body


def test_percent_signs_are_no_formats() -> None:
    """Nothing in an event is taken for an instruction."""
    assert b'{"time_ms":1,"events":[{"data":"%d %b %"}]}' == webhook_body(
        1, [b'{"data":"%d %b %"}']
    )


def test_signature_vector() -> None:
    """The signature is HMAC-SHA256 of the raw bytes, as `openssl dgst -hmac` computes it."""
    expected = "4baffdd274fc5988e01e0510622afce80c1ba2bb3c62f1472dc60a9e7617520b"

    assert expected == sign_webhook(b"7ad3773142a6692b25b8", webhook_body(1, [VACATED]))


def test_signature_depends_on_everything() -> None:
    """Another secret, another time or another event is another signature."""
    body = webhook_body(1, [OCCUPIED])
    signatures = {
        sign_webhook(b"one", body),
        sign_webhook(b"other", body),
        sign_webhook(b"one", webhook_body(2, [OCCUPIED])),
        sign_webhook(b"one", webhook_body(1, [VACATED])),
    }

    assert 4 == len(signatures)
