"""The op table as a graph."""

from hypothesis import given
from hypothesis import strategies as st

from tb_numstab.analysis.graph import OpGraph
from tb_numstab.schema.ops import OpSite

sites = st.builds(
    OpSite, op_type=st.just("Add"), name=st.just("a"), inputs=st.lists(st.integers(-1, 9), max_size=3).map(tuple)
)


@given(st.lists(sites, max_size=10))
def test_consumers_are_the_reverse_of_inputs(table: list[OpSite]) -> None:
    graph = OpGraph(table)
    edges = {(source, slot) for slot, site in enumerate(table) for source in site.inputs if 0 <= source < len(table)}
    assert {(source, slot) for source in range(len(table)) for slot in graph.consumers(source).tolist()} == edges
