"""What is wrong with files is said by name, and never with what is in them."""

import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pogo.tls import ClientTls, ServerTls, TlsError, readable_by_others
from pogo.tls.expiry import expiry
from tests.servers import Certificate
from tests.tls.authority import Authority

_PASSPHRASE = "passphrase-of-the-key"


def _encrypt(key: Path) -> None:
    """Put a passphrase on a key."""
    command = ["openssl", "pkcs8", "-topk8", "-in", str(key), "-passout", f"pass:{_PASSPHRASE}"]
    encrypted = subprocess.run(command, check=True, capture_output=True).stdout
    key.write_bytes(encrypted)


def _refusal(made: Certificate) -> str:
    with pytest.raises(TlsError) as caught:
        ServerTls(str(made.certificate), str(made.key))
    return str(caught.value)


def test_a_certificate_and_its_key(issued: Certificate) -> None:
    """They are taken, and nothing of the key is in any representation."""
    tls = ServerTls(str(issued.certificate), str(issued.key))

    assert issued.key.read_bytes() == tls.identity.pair.key
    assert "PRIVATE" not in repr(tls.identity)
    assert "PRIVATE" not in repr(tls.identity.pair)


def test_a_missing_file(issued: Certificate) -> None:
    """It is named, whichever of the two it is."""
    issued.key.unlink()

    assert f"{issued.key}: No such file or directory" == _refusal(issued)

    issued.certificate.unlink()

    assert f"{issued.certificate}: No such file or directory" == _refusal(issued)


def test_a_file_that_is_a_folder(issued: Certificate) -> None:
    """What cannot be read is named with the reason of the operating system."""
    issued.key.unlink()
    issued.key.mkdir()

    assert f"{issued.key}: Is a directory" == _refusal(issued)


def test_a_key_of_another_certificate(authority: Authority, issued: Certificate) -> None:
    """Both files are named."""
    other = authority.issue("other")
    mixed = Certificate(issued.certificate, other.key)

    assert f"{other.key}: is not the key of {issued.certificate}" == _refusal(mixed)


def test_an_encrypted_key(issued: Certificate) -> None:
    """Nobody is asked for its passphrase."""
    _encrypt(issued.key)

    refusal = _refusal(issued)

    assert f"{issued.key}: is encrypted; a server needs a key without a passphrase" == refusal


def test_files_in_the_wrong_place(issued: Certificate) -> None:
    """A key is no certificate, and a certificate is no key."""
    swapped = Certificate(issued.key, issued.certificate)

    assert f"{issued.key}: holds no certificate in PEM" == _refusal(swapped)

    twice = Certificate(issued.certificate, issued.certificate)

    assert f"{issued.certificate}: holds no private key in PEM" == _refusal(twice)


@pytest.mark.parametrize("which", ["certificate", "key"])
def test_damaged_pem(issued: Certificate, which: str) -> None:
    """What has the right marks and nothing sensible between them is refused, without quoting it."""
    path: Path = getattr(issued, which)
    first, *_ = path.read_text().splitlines()
    path.write_text(f"{first}\ncXVvdGVk\n{first.replace('BEGIN', 'END')}\n")

    refusal = _refusal(issued)

    assert refusal.startswith(f"{issued.certificate} and {issued.key}: cannot be used: ")
    assert "cXVvdGVk" not in refusal


def test_a_file_that_is_far_too_large(issued: Certificate) -> None:
    """It is not read to its end, which it may not have."""
    big = Certificate(Path("/dev/zero"), issued.key)

    assert "/dev/zero: is larger than 4194304 bytes" == _refusal(big)


def test_a_broken_replacement_changes_nothing(authority: Authority, issued: Certificate) -> None:
    """The old certificate stays until files are there that belong together."""
    tls = ServerTls(str(issued.certificate), str(issued.key))
    before = tls.identity
    old_key = issued.key.read_bytes()
    authority.issue()
    new_key = issued.key.read_bytes()
    issued.key.write_bytes(old_key)
    with pytest.raises(TlsError, match="is not the key of"):
        tls.reload()

    assert before is tls.identity

    issued.key.write_bytes(new_key)

    assert tls.reload()
    assert new_key == tls.identity.pair.key


def test_a_reload_without_a_change(issued: Certificate) -> None:
    """It says that there is nothing new."""
    tls = ServerTls(str(issued.certificate), str(issued.key))

    assert not tls.reload()


def test_authorities_of_clients(authority: Authority, issued: Certificate) -> None:
    """They are read like everything else."""
    certificate, key = str(issued.certificate), str(issued.key)
    tls = ServerTls(certificate, key, client_ca=str(authority.path))

    assert authority.pem == tls.identity.client_ca

    with pytest.raises(TlsError, match="holds no certificate in PEM"):
        ServerTls(certificate, key, client_ca=key)


def test_whom_a_client_believes(authority: Authority, issued: Certificate) -> None:
    """The authorities that are named, and only those; else the ones of the system."""
    named = ClientTls(str(authority.path), str(issued.certificate), str(issued.key)).context()
    system = ClientTls().context()

    assert 1 == len(named.get_ca_certs())
    assert len(ssl.create_default_context().get_ca_certs()) == len(system.get_ca_certs())
    for context in (named, system):
        assert ssl.TLSVersion.TLSv1_2 == context.minimum_version
        assert ssl.CERT_REQUIRED == context.verify_mode
        assert context.check_hostname


def test_authorities_that_are_missing() -> None:
    """A client that is to believe them does not begin to believe others."""
    with pytest.raises(TlsError, match="/nowhere: No such file or directory"):
        ClientTls("/nowhere").context()


@pytest.mark.parametrize("year", [2049, 2051])
def test_expiry(authority: Authority, year: int) -> None:
    """The end of a certificate is read in both forms, of which 2050 is the border (RFC 5280)."""
    end = datetime(year, 2, 28, 23, 59, 58, tzinfo=UTC)
    made = authority.issue("long", expires=end)

    assert end == expiry(made.certificate.read_bytes())
    assert end == ServerTls(str(made.certificate), str(made.key)).identity.expires


@pytest.mark.parametrize("der", ["", "MAA=", "MAMCAQE=", "MIIBAA=="])
def test_expiry_of_what_is_no_certificate(der: str) -> None:
    """It is an error of its own, and no other."""
    pem = f"-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n"
    with pytest.raises(ValueError, match="certificate"):
        expiry(pem.encode())


def test_who_can_read_a_file(issued: Certificate) -> None:
    """Everybody, or only its owner and group."""
    issued.key.chmod(0o640)

    assert not readable_by_others(str(issued.key))

    issued.key.chmod(0o644)

    assert readable_by_others(str(issued.key))
    assert not readable_by_others("/nowhere")
