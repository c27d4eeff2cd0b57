from bench.delivery.report import Row, Target


def test_targets() -> None:
    """A target is asked of the ratio to the limit where there is one, else of the figure."""
    assert Row("", "", 11, "µs", 10, Target(1.15)).met
    assert not Row("", "", 12, "µs", 10, Target(1.15)).met
    assert Row("", "", 70, "", 10, Target(6, at_least=True)).met
    assert not Row("", "", 5, "KB", target=Target(4)).met
    assert Row("", "", 5, "KB").met is None
