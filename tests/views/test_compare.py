import dataclasses

import numpy as np

from tb_numstab.schema.ops import OpSite
from tb_numstab.views.align import align
from tb_numstab.views.compare import compare_view
from tb_numstab.views.op_index import OpIndex
from tb_numstab.views.subject import Subject, Subjects
from tests.views.subjects import subject_of


def test_a_run_never_parts_from_itself(broken: Subject) -> None:
    view = compare_view(broken, broken)
    assert view["aligned"] == len(broken.session.table)
    assert (view["parted"], view["ops"]) == (0, [])


def test_runs_part_where_one_becomes_nan(broken: Subject, healthy: Subject) -> None:
    view = compare_view(broken, healthy)
    assert view["common_steps"] == 80
    assert [v["status"] for v in view["verdicts"]] == ["broken", "healthy"]
    steps = [op["step"] for op in view["ops"]]
    assert steps == sorted(steps)
    first_nan = next(op for op in view["ops"] if op["reason"] == "nonfinite")
    assert first_nan["step"] == 57
    assert first_nan["here"]["nan"] + first_nan["here"]["neg_inf"] + first_nan["here"]["pos_inf"] > 0
    assert first_nan["there"]["nan"] == 0


def test_lost_updates_part_runs_whose_numbers_look_alike(healthy: Subject) -> None:
    lost = subject_of("absorbed_updates")
    reasons = {op["op"]["role"]: op["reason"] for op in compare_view(lost, healthy)["ops"] if op["step"] <= 3}
    assert reasons["update"] == "absorbed"


def test_the_reported_difference_is_in_the_records(broken: Subject, healthy: Subject) -> None:
    for op in compare_view(broken, healthy)["ops"]:
        if op["reason"] == "scale":
            assert abs(op["here"]["max_exp"] - op["there"]["max_exp"]) >= 4


def test_runs_without_a_common_step_do_not_part(healthy: Subject) -> None:
    session = healthy.session
    half = [dataclasses.replace(session, steps=session.steps[i::2], encoded=session.encoded[i::2]) for i in (0, 1)]
    even, odd = (Subjects().get(dataclasses.replace(healthy.run, sessions=[s])) for s in half)
    view = compare_view(even, odd)
    assert (view["common_steps"], view["ops"]) == (0, [])


def test_an_inserted_op_does_not_shift_the_others() -> None:
    before = [OpSite("MatMul", "MatMul"), OpSite("Mul", "Mul"), OpSite("Add", "Add"), OpSite("Mul", "Mul_1")]
    after = [OpSite("MatMul", "MatMul"), OpSite("Cast", "Cast"), OpSite("Mul", "Mul"), OpSite("Mul", "Mul_1")]
    assert align(OpIndex(before), OpIndex(after)).tolist() == [[0, 0], [1, 2], [3, 3]]


def test_equal_tables_align_by_place() -> None:
    table = [OpSite("Mul", "Mul"), OpSite("Mul", "Mul_1")]
    np.testing.assert_array_equal(align(OpIndex(table), OpIndex(table)), [[0, 0], [1, 1]])


def test_nothing_in_common() -> None:
    assert align(OpIndex([OpSite("Mul", "m")]), OpIndex([OpSite("Add", "a")])).shape == (0, 2)
