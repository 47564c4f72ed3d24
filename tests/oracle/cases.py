"""What a case is, how its random numbers are drawn, and the list of the functions that draw cases.

A case is drawn by a function under `@cases(FORWARD, BACKWARD, operation..., oracle=...)`: so many cases of each of these
operations. The function is given random numbers and the operation's name, and returns a Case: the tool's arguments, the
arrays, what onnxruntime makes of them (or None), and the same as a NumPy function of the arrays in double. Arrays are
N,C,space and O,I,kernel, as in ONNX. The README's table of operations reads these lines.
"""
import numpy as np


class Draws(np.random.Generator):
    """Random numbers of one case. small: every element's slope is wanted."""

    def __init__(self, seed, small):
        super().__init__(np.random.PCG64(seed))
        self.small = small

    def one_of(self, values):
        return values[self.integers(len(values))]

    def normal_array(self, *shape):
        return self.standard_normal([int(n) for n in shape], dtype=np.float32)

    def batch(self):
        return int(self.integers(1, 3 if self.small else 4))

    def channels(self):
        return int(self.choice([1, 2, 3] if self.small else [1, 3, 8, 16, 19]))

    def sizes(self, most, axes=None):
        """Of 1 to 3 spatial axes."""
        axes = axes or int(self.integers(1, 4))
        return [int(n) for n in self.integers(1, min(most, {1: 9, 2: 5, 3: 3}[axes]) + 1 if self.small else most + 1, axes)]


class Case:
    """arguments: of the tool. arrays: in the order in which the tool wants its files. onnx: what onnxruntime says, or None.
    function: the same from the dict of arrays in double, or None. operation: the tool's, where it has another name. result:
    which of the tool's results it is about."""

    def __init__(self, arguments, arrays, onnx=None, function=None, operation=None, result="y"):
        self.arguments, self.arrays, self.onnx, self.function = arguments, arrays, onnx, function
        self.operation, self.result = operation, result


DRAWN = []  # (operation, function, oracle, forward cases, backward cases)


def cases(forward, backward, *operations, oracle):
    def remember(function):
        DRAWN.extend((operation, function, oracle, forward, backward) for operation in operations)
        return function
    return remember


def joined(numbers, by="x"):
    return by.join(map(str, numbers))


def positive(x):
    return np.abs(x) + np.float32(0.1)


def away_from_zero(x):
    return np.sign(x) * positive(x)


def last_axis(axis, rank):
    """The number of a channels-first axis in the order N, space, C."""
    return axis if rank < 3 or axis == 0 else rank - 1 if axis == 1 else axis - 1


def draw_shape(rng):
    return [int(n) for n in rng.integers(1, 4 if rng.small else 7, rng.integers(1, 5 if rng.small else 6))]
