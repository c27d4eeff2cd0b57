"""Webhooks: what apps are told about their channels, and how it gets to them."""

from pogo.broker.webhooks.delivery import Deliveries
from pogo.broker.webhooks.metrics import DeliveryMetrics
from pogo.broker.webhooks.webhooks import Webhooks

__all__ = ["Deliveries", "DeliveryMetrics", "Webhooks"]
