"""Rules are named, ordered, recorded and can each be left out; none changes what it is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mriseg.errors import SegmentationError
from mriseg.segment.network import RULES_AT_HAND, Network
from mriseg.segment.rules import RULES, Seen, draw, rules_of
from mriseg.types import Label, LabelMap, Volume

Knee = tuple[Volume, LabelMap]


def with_rules(network: Network, *names: str) -> Network:
    return replace(network, spec=replace(network.spec, rules=names))


def test_every_rule_at_hand_can_be_asked_for_and_no_other(network: Network) -> None:
    assert tuple(RULES) == RULES_AT_HAND
    with pytest.raises(SegmentationError, match="sharpening"):
        with_rules(network, "detail", "sharpening")
    with pytest.raises(SegmentationError, match="twice"):
        with_rules(network, "detail", "detail")


def test_networks_that_the_image_has_no_say_in_go_through_anatomy_alone(network: Network) -> None:
    assert network.spec.rules_in_order == RULES_AT_HAND
    plain = replace(network.spec, refiner="", sharpen=False)
    assert plain.rules_in_order == ("anatomy",)


def test_sidecars_keep_the_rules_in_their_order_with_their_numbers(network: Network) -> None:
    kept = rules_of(with_rules(network, "anatomy", "craters"))
    assert [rule["name"] for rule in kept] == ["anatomy", "craters"]
    assert kept[1]["parameters"]["midway"] == RULES["craters"].parameters["midway"]


@pytest.mark.parametrize("name", [n for n in RULES_AT_HAND if n not in {"look", "detail"}])
def test_a_rule_alone_does_what_it_says_and_leaves_its_input(knee: Knee, name: str) -> None:
    image, truth = knee
    given, shown = truth.data.copy(), image.data.copy()
    island = (slice(1, 4), slice(1, 4), slice(1, 4))
    given[island] = Label.FEMUR
    before = given.copy()
    after = draw(given, Seen(knee=image, threads=1), [name])
    assert np.array_equal(given, before)
    assert np.array_equal(image.data, shown)
    assert after is not given
    assert (after[island] == 0).all() == (name in {"shafts", "anatomy"})  # both know that a bone is one piece


def test_without_rules_the_labels_are_those_of_the_network(knee: Knee) -> None:
    assert np.array_equal(draw(knee[1].data, Seen(knee=knee[0]), ()), knee[1].data)
