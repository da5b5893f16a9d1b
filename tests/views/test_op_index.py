import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from tb_numstab.schema.ops import Frame, OpSite, Role
from tb_numstab.views.op_index import OpIndex

LINE = Frame("train.py", 3, "train_step", "y = x + 1")

sites = st.builds(
    OpSite,
    op_type=st.just("Add"),
    name=st.sampled_from(["a", "a#2", "a:0", "b/a"]),
    output=st.integers(0, 1),
    graph=st.sampled_from(["", "b", "while"]),
    inputs=st.lists(st.integers(-1, 9), max_size=3).map(tuple),
)


@given(st.lists(sites, max_size=10), st.integers(0, 10))
def test_every_slot_has_a_key_of_its_own_that_growth_does_not_change(table: list[OpSite], count: int) -> None:
    ops = OpIndex(table)
    assert len(set(ops.keys)) == len(table)
    assert [ops.slot(key) for key in ops.keys] == list(range(len(table)))
    assert OpIndex(table[:count]).keys == ops.keys[:count]


def test_keys_are_what_people_write() -> None:
    table = [OpSite("Log", "loss/Log"), OpSite("Log", "Log", output=1, graph="while/body"), OpSite("Log", "loss/Log")]
    assert OpIndex(table).keys == ["loss/Log:0", "while/body/Log:1", "loss/Log:0#2"]


def test_groups_come_as_close_to_a_layer_as_is_known() -> None:
    plain = OpSite("Mul", "m", frames=(LINE,))
    table = [
        dataclasses.replace(plain, layer="net/dense"),
        dataclasses.replace(plain, gradient_of=0, role=Role.GRADIENT),
        dataclasses.replace(plain, role=Role.VARIABLE, variable="net/dense/kernel"),
        dataclasses.replace(plain, role=Role.VARIABLE, variable="w"),
        dataclasses.replace(plain, role=Role.INPUT),
        plain,
        OpSite("Mul", "m"),
    ]
    assert OpIndex(table).groups == [
        "net/dense",
        "net/dense",
        "net/dense",
        "variables",
        "inputs",
        "train_step()",
        "other",
    ]


def test_ref_links_to_the_users_own_line() -> None:
    assert OpIndex([OpSite("Mul", "m", frames=(LINE,))]).ref(0)["source"] == {
        "file": "train.py",
        "line": 3,
        "function": "train_step",
        "text": "y = x + 1",
    }
    assert OpIndex([OpSite("Mul", "m")]).ref(0)["source"] is None


def test_unnamed_variables_are_told_apart_by_their_shapes() -> None:
    unnamed = OpSite("ReadVariableOp", "r", role=Role.VARIABLE, variable="Variable", shape=(8, 64))
    named = dataclasses.replace(unnamed, variable="w")
    ops = OpIndex([unnamed, named, OpSite("Mul", "m")])
    assert [ops.ref(slot)["variable"] for slot in range(3)] == ["Variable [8, 64]", "w", ""]
