"""A graph of ONNX operators, written as formulas."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Operand = Any  # a Value, a number, or an array

# Types of elements, as ONNX numbers them.
FLOAT, INT64, STRING, DOUBLE = 1, 7, 8, 11


class Value:
    """A tensor in a graph. What arithmetic and comparisons make of it are nodes of the same graph."""

    __array_ufunc__ = None  # so that array + value is ours

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name

    def __neg__(self) -> Value:
        return self.graph.Neg(self)

    def __add__(self, other: Operand) -> Value:
        return self.graph.Add(self, other)

    def __radd__(self, other: Operand) -> Value:
        return self.graph.Add(other, self)

    def __sub__(self, other: Operand) -> Value:
        return self.graph.Sub(self, other)

    def __rsub__(self, other: Operand) -> Value:
        return self.graph.Sub(other, self)

    def __mul__(self, other: Operand) -> Value:
        return self.graph.Mul(self, other)

    def __rmul__(self, other: Operand) -> Value:
        return self.graph.Mul(other, self)

    def __truediv__(self, other: Operand) -> Value:
        return self.graph.Div(self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return self.graph.Div(other, self)

    def __pow__(self, other: Operand) -> Value:
        return self.graph.Pow(self, other)

    def __gt__(self, other: Operand) -> Value:
        return self.graph.Greater(self, other)

    def __lt__(self, other: Operand) -> Value:
        return self.graph.Less(self, other)

    def __ge__(self, other: Operand) -> Value:
        return self.graph.GreaterOrEqual(self, other)

    def __le__(self, other: Operand) -> Value:
        return self.graph.LessOrEqual(self, other)

    def __bool__(self) -> bool:
        raise TypeError(f"{self.name} is a tensor in a graph, neither true nor false: give both cases to op.Where")


class Graph:
    """Nodes and constants in the order in which they are called for.

    Every operator of ONNX is a method: ``op.Exp(x)``, ``op.Where(x > 0, x, 0)``, ``op.Softmax(x, axis=1)``. Operands
    are values, NumPy arrays, or numbers, which count as float64; keywords are the operator's attributes. The result is
    the operator's first output.

    Parameters
    ----------
    unique : callable, optional
        Makes a name that nothing else in the model has, of one that says what it is.
    """

    def __init__(self, unique: Callable[[str], str] | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._unique = unique or (lambda name: f"{name}_{len(self.nodes) + len(self.initializers)}")
        self._constants: dict[tuple[str, tuple[int, ...], str], Value] = {}

    def __getattr__(self, operator: str) -> Callable[..., Value]:
        if not operator[:1].isupper():
            raise AttributeError(f"a graph has no attribute {operator!r}; operators begin with a capital letter")
        return functools.partial(self.node, operator)

    def node(self, operator: str, *operands: Operand, domain: str = "", **attributes: Any) -> Value:
        """Add a node of one output."""
        inputs = [self._operand(operand).name for operand in operands]
        output = self._unique(operator.lower())
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))
        return Value(self, output)

    def cast(self, value: Value, to: int) -> Value:
        """Return a value as another type."""
        return self.node("Cast", value, to=to)

    def named(self, value: Value, name: str) -> Value:
        """Give a value a name that is fixed, because it leaves the graph."""
        self.nodes.append(helper.make_node("Identity", [value.name], [name], name=name))
        return Value(self, name)

    def _operand(self, operand: Operand) -> Value:
        if isinstance(operand, Value):
            return operand
        array = np.asarray(operand) if isinstance(operand, np.ndarray | np.generic) else np.asarray(operand, np.float64)
        if array.dtype.kind in "US":
            array = array.astype(object)
        key = (array.dtype.str, array.shape, repr(array.tolist()))
        if key not in self._constants:
            name = self._unique("constant")
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
            self._constants[key] = Value(self, name)
        return self._constants[key]
