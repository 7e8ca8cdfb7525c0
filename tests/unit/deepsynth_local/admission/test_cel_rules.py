from deepsynth_local.admission.cel_rules import find_broken_rules


def rule(text: str, field: str = "") -> dict[str, object]:
    return {"x-kubernetes-validations": [{"rule": text, "message": "no", **({"fieldPath": field} if field else {})}]}


def test_rules_apply_to_fields_and_to_each_item_of_a_list() -> None:
    schema = {"properties": {"list": {"items": rule("self.a > 1", ".a")}}}

    assert list(find_broken_rules({"list": [{"a": 2}, {"a": 1}]}, None, schema)) == [(("list", 1, "a"), "no")]


def test_a_rule_about_the_old_value_applies_only_to_updates() -> None:
    schema = rule("self.a >= oldSelf.a")

    assert list(find_broken_rules({"a": 1}, None, schema)) == []
    assert list(find_broken_rules({"a": 1}, {"a": 2}, schema)) == [((), "no")]


def test_equal_quantities_are_equal_in_any_spelling() -> None:
    schema = rule("quantity(string(self.a)) == quantity(string(oldSelf.a)) && isQuantity(self.b) == false")

    assert list(find_broken_rules({"a": "1000m", "b": "x"}, {"a": 1}, schema)) == []
    assert list(find_broken_rules({"a": "1000m", "b": "1"}, {"a": 1}, schema)) == [((), "no")]


def test_a_rule_that_cannot_be_evaluated_is_broken() -> None:
    assert list(find_broken_rules({}, None, rule("self.missing > 1"))) == [((), "no")]
