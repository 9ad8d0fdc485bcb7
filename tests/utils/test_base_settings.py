"""What a setting affects is declared with it, and each comparison notices what it is about."""
import typing
from types import SimpleNamespace

import pydantic
import pytest
from trained import SAMPLE

from gpq import config
from gpq.utils import settings
from gpq.utils.base_settings import Affects, Settings
from gpq.utils.checkpoints import runs, store
from gpq.utils.errors import UserError
from gpq.utils.retrieval.encoder import made_of, unlike
from gpq.utils.training.folder import RESUMED

KINDS = [*config.METHODS.values(), config.Pretraining]
VALUES = 1, 2, 3, 8, 0.5, True, False, (1, 2), (64,), 64, "other", "cifar100"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_setting_says_what_it_affects(kind):
    for name in kind.model_fields:
        fields = [base.model_fields.get(name) for base in kind.__mro__ if issubclass(base, Settings)]
        assert any(isinstance(part, Affects) for field in fields if field for part in field.metadata), name


def changed(kind, name):
    """(settings of a class in which the setting `name` has an effect, {name: another value}), None where it has none or
    one value alone."""
    needs = kind.needs.get(name, {})
    ways = needs if isinstance(needs, list) else [needs]
    way = dict([ways[0]] if isinstance(ways[0], tuple) else ways[0]) if ways else {}
    given = {other: ("other" if other == "pseudo_labels" else 1) if value is None
             else value[0] if isinstance(value, tuple) else value for other, value in way.items()}
    for value in (*typing.get_args(kind.model_fields[name].annotation), *VALUES):
        try:
            before = kind(**given, **({name: "one"} if name == "embeddings" else {}))  # vectors are another dataset
            now = kind(**given, **{name: value})
        except pydantic.ValidationError:
            continue
        if getattr(now, name) != getattr(before, name) and not settings.idle(before, name):
            return before, {**given, name: value}
    return None


@pytest.mark.parametrize("kind", config.METHODS.values(), ids=lambda kind: kind.__name__)
def test_a_change_is_noticed_by_the_comparisons_that_it_belongs_to(kind, monkeypatch):
    monkeypatch.setattr(store, "fingerprint", lambda *_: "f")
    data, left_out = SimpleNamespace(source=SAMPLE), set()
    for name in kind.model_fields:
        if (found := changed(kind, name)) is None:
            left_out.add(name)
            continue
        (before, given), affects = found, kind.affects(name)
        now, own = kind(**given), affects and Affects.FILE not in affects
        resumed = runs.differences(before, now, kind.affecting(RESUMED, but=Affects.FILE))
        assert (name in {each for each, *_ in resumed}) == bool(own and affects & RESUMED), name
        kept = {"settings": before.model_dump(mode="json")}
        monkeypatch.setattr(runs, "about", lambda _, kept=kept: kept)
        if affects & Affects.MODEL:
            with pytest.raises(UserError, match=f"was trained with .*{name}="):
                runs.chosen(kind(**given, model_load_path="a.ckpt"))
        elif name != "model_load_path":
            assert getattr(runs.chosen(kind(**given, model_load_path="a.ckpt"))[1], name) == getattr(now, name)
        searched = runs.chosen(kind(model_load_path="a.ckpt"))[1]
        taken = getattr(searched, name) == getattr(before, name) != kind.model_fields[name].default
        assert not taken or affects & (Affects.MODEL | Affects.CODES), name
        other = dict(unlike(made_of(before, "a.ckpt", data), made_of(now, "a.ckpt", data)))
        assert (name in other) == bool(affects & (Affects.MODEL | Affects.CODES)), name
    assert left_out <= {"method", "known_classes", *kind.needs}, left_out
