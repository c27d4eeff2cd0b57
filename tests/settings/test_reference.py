import re
from pathlib import Path

from pydantic import BaseModel

from pogo.settings import App, Settings, Webhook
from pogo.settings.model import GROUPS
from pogo.settings.reference import settings_page

_PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_what_the_model_says() -> None:
    """`python -m pogo.settings.reference > docs/settings.md` would change nothing."""
    assert settings_page() == _PAGE.read_text(encoding="utf-8")


def test_every_setting_is_documented() -> None:
    """Each field of each model has a row, and each row says something."""
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.+) \|$", settings_page(), re.MULTILINE)

    models: tuple[type[BaseModel], ...] = (App, Webhook, *GROUPS)
    assert [name for model in models for name in model.model_fields] == [name for name, _ in rows]
    assert set(Settings.model_fields) <= {name for name, _ in rows}
