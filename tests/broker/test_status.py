from pogo.rpc.v1 import broker_pb2
from pogo.rpc.v1.status import StatusCode


def test_codes_are_those_of_the_contract() -> None:
    """The broker, the client and the protobuf contract have the same ten codes."""
    contract = {name.removeprefix("STATUS_"): number for name, number in broker_pb2.Status.items()}

    assert contract == {code.name: code.value for code in StatusCode}
    assert list(range(10)) == sorted(contract.values())
