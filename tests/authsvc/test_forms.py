"""What a client asks for, and what PHP would read out of it."""

import json
import subprocess
from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pogo.authsvc.errors import BadRequestError
from pogo.authsvc.forms import FORM, JSON, check_socket_id, encode_form, parse_body, socket_id_of
from tests.authsvc.helpers import WORKERS

PLAIN = b"socket_id=1.2&channel_name=private-a&extra=%C3%A9+x&empty="
FIELDS = [("socket_id", "1.2"), ("channel_name", "private-a"), ("extra", "é x"), ("empty", "")]


@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=UTF-8", f" {FORM.upper()} ;x=y"])
def test_form(kind: str) -> None:
    """Fields come out in order, whatever parameters the type has."""
    assert FIELDS == list(parse_body(PLAIN, kind))


@pytest.mark.parametrize("kind", [JSON, f"{JSON};charset=utf-8"])
def test_json(kind: str) -> None:
    """A JSON object is a form too; its values become what PHP makes of them."""
    body = '{"socket_id":"1.2","yes":true,"no":false,"none":null,"n":7,"x":1.5,"é":"ü"}'
    expected = {"socket_id": "1.2", "yes": "1", "no": "", "none": "", "n": "7", "x": "1.5"}

    assert {**expected, "é": "ü"} == dict(parse_body(body.encode(), kind))


def test_json_with_a_name_twice() -> None:
    """The last one counts, and the worker sees no other."""
    body = b'{"socket_id":"1.1","socket_id":"2.2"}'

    assert b"socket_id=2.2" == encode_form(parse_body(body, JSON))


@pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data", "application/jsonp"])
def test_other_types(kind: str) -> None:
    """Whatever else is no request."""
    with pytest.raises(BadRequestError) as caught:
        parse_body(PLAIN, kind)

    assert 415 == caught.value.status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1",
        b'{"socket_id":{"a":"b"}}',
        b'{"x":[1]}',
        b'{"socket_id":1.2}',
        b'{"channel_name":7}',
        b'{"socket_id":null}',
        b'{"x":1e400}',
        b'{"x":"\\ud800"}',
        b'{"x":"\xff"}',
        b'{"x":',
        b"{}{}",
        '{"socket_id":"1.2"}'.encode("utf-16"),
        b'{"x":' + b"[" * 100_000,
        json.dumps({str(n): "" for n in range(101)}).encode(),
    ],
)
def test_no_json_of_plain_values(body: bytes) -> None:
    """It is the client's fault, and nothing worse."""
    with pytest.raises(BadRequestError) as caught:
        parse_body(body, JSON)

    assert 400 == caught.value.status


@pytest.mark.parametrize(
    "body", [b"x=%FF", b"x=\xff", "x=é".encode(), b"%ED%A0%80=1", b"&".join([b"a=1"] * 101)]
)
def test_no_form(body: bytes) -> None:
    """Neither is what is no UTF-8, or too much."""
    with pytest.raises(BadRequestError):
        parse_body(body, FORM)


@pytest.mark.parametrize(
    "name",
    [
        "socket.id",
        "socket id",
        " socket_id",
        "  socket.id",
        "socket[id",
        " socket[id",
        "socket_id[]",
        "socket_id[a][b",
        "socket_id[a]b",
        "socket_id\0",
        "socket_id\0[",
        "socket.id\0x",
        "channel.name",
        "channel[name",
        "channel_name[0]",
        "_method",
        ".method",
        " _method[]",
    ],
)
@pytest.mark.parametrize("kind", [FORM, JSON])
def test_another_name_for_the_same(name: str, kind: str) -> None:
    """Nobody can have one thing checked and another one signed."""
    others = [("socket_id", "1.2"), ("channel_name", "private-a")]
    fields = [*others, (name, "x")]
    body = urlencode(fields) if kind == FORM else json.dumps(dict(fields))

    with pytest.raises(BadRequestError):
        parse_body(body.encode(), kind)


@pytest.mark.parametrize("name", ["socket_id", "channel_name"])
def test_twice(name: str) -> None:
    """A form does not say one thing two times, were it the same."""
    with pytest.raises(BadRequestError):
        parse_body(PLAIN + f"&{name}=1.2".encode(), FORM)


@pytest.mark.parametrize(
    "name",
    ["socket", "socket_id_", "socket_id]", "\tsocket_id", "Socket_id", "socket[id]", "method"],
)
def test_names_of_other_things(name: str) -> None:
    """What PHP keeps apart may be there."""
    fields = [("socket_id", "1.2"), (name, "x")]

    assert fields == list(parse_body(urlencode(fields).encode(), FORM))


_NAMES = st.text(alphabet="socketidchanlm_. []+\0%;&=x", min_size=1, max_size=12) | st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", " ", "  ", ".", "["]),
    st.sampled_from(["socket", "channel", "", "_"]),
    st.sampled_from(["_", ".", " ", "[", "", "]"]),
    st.sampled_from(["id", "name", "method", "id[", "name[]", "id]", "id\0x", "name[a][", "id "]),
)


@given(st.lists(st.lists(_NAMES, max_size=4), min_size=40, max_size=40))
@settings(max_examples=10, deadline=None)
def test_php_reads_the_same(forms: list[list[str]]) -> None:
    """PHP itself finds in every form that passes what was found here, and nothing more."""
    passed = []
    for names in forms:
        body = "&".join(f"{quote_plus(name)}=x" for name in names) + "&socket_id=1.2"
        try:
            passed.append(encode_form(parse_body(body.encode(), FORM)))
        except BadRequestError:
            continue
    asked = subprocess.run(
        ["php", str(WORKERS / "reads.php")],
        input=b"\n".join(passed) + b"\n",
        capture_output=True,
        check=True,
    )

    read = [json.loads(line) for line in asked.stdout.splitlines()][: len(passed)]
    own = ("socket_id", "channel_name")
    expected = [
        {
            name: value
            for name, value in parse_qsl(form.decode(), keep_blank_values=True)
            if name in own
        }
        for form in passed
    ]
    assert expected == read


@pytest.mark.parametrize(
    "socket_id",
    ["", "1", "1.", ".2", "1.2.3", "1.2:private-a", "-1.2", "1.2\n", "a.b", "١.٢", "1." + "2" * 63],  # noqa: RUF001 (digits that are none)
)
def test_no_socket_id(socket_id: str) -> None:
    """What the worker would sign could mean something else."""
    with pytest.raises(BadRequestError):
        check_socket_id(socket_id)


def test_socket_id() -> None:
    """It is one of the fields, and has to be there."""
    assert "1.2" == socket_id_of([("a", "b"), ("socket_id", "1.2")])
    with pytest.raises(BadRequestError):
        socket_id_of([("a", "b")])


@given(st.binary(max_size=200), st.sampled_from([FORM, JSON]))
def test_any_bytes(body: bytes, kind: str) -> None:
    """No body does worse than to be refused, and what is read can be written."""
    try:
        fields = parse_body(body, kind)
    except BadRequestError:
        return
    assert list(fields) == list(parse_body(encode_form(fields), FORM))
