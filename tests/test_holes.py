"""Holes are punched, filled and mended, and every mishap says what to do."""

import types

import pytest

import course.micrograd as package
from course.learn import LessonError, borrow, exercise, lesson
from course.learn.holes import _put, _replace_bases, find_part, restore
from course.micrograd import engine, nn, training

SCALARS, NETWORKS = "1_micrograd/1_scalars", "1_micrograd/2_networks"
VALUE = "course.micrograd.engine.Value"


@pytest.fixture(autouse=True)
def whole_machine():
    yield
    restore()


@pytest.fixture
def value():
    """Lesson 1.1 with its class filled, and no method yet."""
    lesson(SCALARS)

    @exercise(VALUE)
    class Value:
        def __init__(self, data, inputs=(), local_grads=(), op=""):
            self.data, self.grad = data, 0.0
            self.inputs, self.local_grads, self.op = inputs, local_grads, op

    return Value


def test_a_hole_says_whose_turn_it_is():
    lesson(NETWORKS)
    for use in (
        lambda: nn.MLP(2, [1]),
        lambda: package.MLP(2, [1]),
        lambda: isinstance(1, package.Neuron),
        lambda: nn.Layer.anything,
        lambda: types.new_class("Sub", (nn.Layer,)),
    ):
        with pytest.raises(NotImplementedError, match=r"yours to write \(lesson 1\.2, ex"):
            use()
    assert "yours to write" in repr(nn.MLP)


def test_importing_the_answer_gives_the_hole():
    lesson(NETWORKS)
    from course.micrograd.engine import dot

    with pytest.raises(NotImplementedError, match=r"course\.micrograd\.engine\.dot is yours"):
        dot([], [], None)


def test_a_part_stands_everywhere_the_reference_stood():
    reference = nn.weighted_sum
    lesson(NETWORKS)

    @exercise("course.micrograd.nn.weighted_sum")
    def weighted_sum(weights, inputs, bias):
        return bias

    assert nn.weighted_sum is package.weighted_sum is weighted_sum
    restore()
    assert nn.weighted_sum is package.weighted_sum is reference
    assert nn.Neuron.__init__.__defaults__[1] is reference


def test_a_part_stands_in_default_arguments_too():
    lesson(NETWORKS)

    @exercise("course.micrograd.nn.weighted_sum")
    def weighted_sum(weights, inputs, bias):
        return bias

    @exercise("course.micrograd.nn.Neuron")
    class Neuron:
        def __init__(self, n, combine=weighted_sum):
            self.combine = combine

    old = weighted_sum

    @exercise("course.micrograd.nn.weighted_sum")
    def weighted_sum(weights, inputs, bias):
        return bias * 2

    assert Neuron(1).combine is weighted_sum is not old


def test_the_machine_runs_on_the_students_part():
    lesson(NETWORKS)

    @exercise("course.micrograd.training.train_step")
    def train_step(model, points, labels, loss_function, optimizer):
        return 42.0

    lesson("0_start/0_welcome")  # another lesson: everything is put back first
    assert training.train_step is not train_step


def test_methods_are_filled_one_by_one(value):
    a = value(2.0)
    with pytest.raises(NotImplementedError, match=r"Value\.__add__ is yours to write"):
        a + a
    with pytest.raises(NotImplementedError, match=r"Value\.backward is yours to write"):
        a.backward()

    @exercise(f"{VALUE}.__add__")
    def __add__(self, other):
        return value(self.data + other.data)

    assert (a + a).data == 4.0
    with pytest.raises(NotImplementedError, match=r"Value\.__mul__"):
        a * a


def test_a_class_that_is_run_again_gets_its_methods_back(value):
    @exercise(f"{VALUE}.__add__")
    def __add__(self, other):
        return self.data + other.data

    @exercise(VALUE)
    class Value:
        def __init__(self, data):
            self.data = data

    assert Value(1.0) + Value(2.0) == 3.0
    with pytest.raises(NotImplementedError, match="__mul__"):
        Value(1.0) * Value(2.0)


def test_a_method_before_its_class():
    lesson(SCALARS)
    with pytest.raises(LessonError, match="Run the cell that defines `class Value` first"):

        @exercise(f"{VALUE}.__add__")
        def __add__(self, other):
            return self


def test_the_given_class_says_that_it_comes_with_the_notebook():
    lesson(SCALARS)
    with pytest.raises(NotImplementedError, match="run the cell that defines it"):
        package.Value(1.0)


def test_setting_up_again_keeps_the_parts(value, capsys):
    lesson(SCALARS)
    assert "set up already" in capsys.readouterr().out
    assert package.Value is value


def test_reference_is_whole_again():
    before = package.Value
    lesson(SCALARS)
    restore()
    assert package.Value is before
    assert (before(1.0) + 1).data == 2.0


def test_mishaps(value):
    with pytest.raises(LookupError, match=r"(?s)Did you mean '1_micrograd/1_scalars'.*1\.2"):
        lesson("1_micrograd/1_scalar")
    with pytest.raises(LessonError, match=r"no part .*Did you mean 'course\.micrograd\.engine"):
        exercise("course.micrograd.engine.Value.__ad__")
    with pytest.raises(LessonError, match="should define `topological_order`"):

        @exercise("course.micrograd.engine.topological_order")
        def order(root):
            return []

    with pytest.raises(LessonError, match="is a function; this cell gives a class"):

        @exercise("course.micrograd.engine.topological_order")
        class topological_order:
            pass

    with pytest.raises(LessonError, match="is a class; this cell gives a function"):
        exercise(VALUE)(lambda: None)
    with pytest.raises(LessonError, match="neither function nor class"):
        exercise(VALUE)(3)
    with pytest.raises(LessonError, match=r"called as __add__\(self, other\); yours is __add__\(s"):

        @exercise(f"{VALUE}.__add__")
        def __add__(self):
            return self


def test_parameters_may_have_other_names(value):
    @exercise(f"{VALUE}.__add__")
    def __add__(this, that, extra=None):
        return this

    assert value(1.0) + value(2.0)


def test_exercise_before_lesson():
    with pytest.raises(LessonError, match="first code cell"):
        exercise(VALUE)


def test_subclasses_inherit_from_the_students_class():
    class Base:
        def greet(self):
            return "reference"

    class Student:
        def greet(self):
            return "student"

    class Sub(Base):
        pass

    _replace_bases(Sub, {id(Base): (Base, Student)})
    assert Sub().greet() == "student"


def test_tables_of_operations_follow():
    module = types.ModuleType("course.toy")
    module.op = engine.dot
    module.table, module.rows = {"dot": engine.dot}, [engine.dot]
    import sys

    sys.modules["course.toy"] = module
    try:
        lesson(NETWORKS)
        assert module.table["dot"] is module.rows[0] is engine.dot is module.op
        restore()
        assert module.table["dot"] is find_part("course.micrograd.engine.dot")
    finally:
        del sys.modules["course.toy"]


def test_no_such_part():
    for path in ("course.micrograd.engine.Nothing", "course.nowhere.Value", "nowhere"):
        with pytest.raises(LookupError, match="There is no"):
            find_part(path)
    with pytest.raises(LookupError):
        _put({"nowhere.at.all": None})


def test_warnings_are_ordinary_output(capsys):
    import warnings

    lesson(SCALARS)
    warnings.warn("mind the step", RuntimeWarning, stacklevel=1)
    seen = capsys.readouterr()
    assert "mind the step" in seen.out
    assert seen.err == ""


def test_borrowing_goes_on_with_the_reference(value, monkeypatch, capsys):
    topological_order = borrow("course.micrograd.engine.topological_order")
    borrow(f"{VALUE}.__add__")
    a = value(1.0)
    total = a + 2
    assert isinstance(total, value)
    assert topological_order(total)[0] is a or topological_order(total)[-1] is total
    assert "earns no points" in capsys.readouterr().out
    with pytest.raises(LessonError, match="no part"):
        borrow("course.micrograd.engine.nothing")
    monkeypatch.setenv("COURSE_GRADING", "1")
    with pytest.raises(LessonError, match="earns no points"):
        borrow(f"{VALUE}.__mul__")


def test_a_hole_names_its_exercise():
    lesson(NETWORKS)
    with pytest.raises(NotImplementedError, match=r'exercise 9, "one node for a whole sum"\)'):
        engine.dot([], [], None)
