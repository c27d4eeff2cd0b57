import pytest

from pogo.broker.http.paths import Endpoint, find_target


@pytest.mark.parametrize(
    ("path", "endpoint", "app_id", "name"),
    [
        ("/apps/a/events", Endpoint.EVENTS, "a", ""),
        ("/apps/a/batch_events", Endpoint.BATCH_EVENTS, "a", ""),
        ("/apps/a/channels", Endpoint.CHANNELS, "a", ""),
        ("/apps/a/connections", Endpoint.CONNECTIONS, "a", ""),
        ("/apps/a/channels/c", Endpoint.CHANNEL, "a", "c"),
        ("/apps/a/channels/users", Endpoint.CHANNEL, "a", "users"),
        ("/apps/a/channels/c/users", Endpoint.USERS, "a", "c"),
        ("/apps/a/channels/%23server-to-user-1", Endpoint.CHANNEL, "a", "#server-to-user-1"),
        ("/apps/a/users/u/terminate_connections", Endpoint.TERMINATE, "a", "u"),
        ("/users/u/terminate_connections", Endpoint.TERMINATE, "", "u"),
        ("/users/apps/terminate_connections", Endpoint.TERMINATE, "", "apps"),
        ("/apps/a/users/b%2Fc/terminate_connections", Endpoint.TERMINATE, "a", "b/c"),
        ("/apps/a/channels/c%2Fusers", Endpoint.CHANNEL, "a", "c/users"),
        ("/apps/apps/events", Endpoint.EVENTS, "apps", ""),
        ("/apps/apps/apps/events", Endpoint.EVENTS, "apps", ""),
        ("/x/y/z/apps/a/users/u/terminate_connections", Endpoint.TERMINATE, "a", "u"),
    ],
)
def test_paths_of_the_api(path: str, endpoint: Endpoint, app_id: str, name: str) -> None:
    """Each path is one end point, also below a prefix."""
    target = find_target(path)

    assert target is not None
    assert (endpoint, app_id, name) == target[:3]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "/",
        "/apps",
        "/apps/a",
        "/apps/a/",
        "/apps/a/events/",
        "/apps/a/EVENTS",
        "/apps//events",
        "/apps//channels/c",
        "/apps/a/channels/",
        "/apps/a/channels//users",
        "/apps/a/channels/c/members",
        "/apps/a/users//terminate_connections",
        "/apps/a%2Fevents",
        "/users%2Fu/terminate_connections",
        "/users/u",
        "apps/a/events",
        "http://host/apps/a/events",
        "/apps/a/events/more",
        "/apps/" * 1000,
    ],
)
def test_paths_of_nobody(path: str) -> None:
    """What is not quite a path of the API is none."""
    assert find_target(path) is None


def test_what_may_have_been_signed() -> None:
    """The path as it was sent comes first, and nothing that reads otherwise is among them."""
    plain = find_target("/apps/a/events")
    below = find_target("/p/apps/a/channels/x%40y")
    slash = find_target("/apps/a/users/x%2Fusers%2fy/terminate_connections")

    assert plain is not None
    assert ("/apps/a/events",) == plain.signed
    assert below is not None
    assert (
        "/p/apps/a/channels/x%40y",
        "/apps/a/channels/x%40y",
        "/p/apps/a/channels/x@y",
        "/apps/a/channels/x@y",
    ) == below.signed
    assert slash is not None
    assert ("/apps/a/users/x%2Fusers%2fy/terminate_connections",) == slash.signed
