from pogo.broker.status import StatusCode
from pogo.client import StatusCode as ClientStatusCode
from pogo.rpc.v1 import broker_pb2


def test_codes_are_those_of_the_contract() -> None:
    """The broker, the client and the protobuf contract have the same ten codes."""
    contract = {name.removeprefix("STATUS_"): number for name, number in broker_pb2.Status.items()}

    assert contract == {code.name: code.value for code in StatusCode}
    assert contract == {code.name: code.value for code in ClientStatusCode}
    assert list(range(10)) == sorted(contract.values())
