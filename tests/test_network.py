"""Networks on a device: equal to float32 one by one, folded norms, batches that fit, OpenVINO where it is."""

import importlib.util
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from tellvision.media import View
from tellvision.records import InputError, Skip
from tellvision.vision import network as module
from tellvision.vision.extractors import find
from tellvision.vision.extractors.pixels import Normalise, like
from tellvision.vision.network import CPU_FRAMES, Network, best_device, fold, has_bfloat16

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="no OpenVINO here")
SIZE = 24
VIEW = View(fps=1.0, size=SIZE)


def with_statistics(network):
    """Norms that do something."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
            for values in (part.running_mean, part.bias.data):
                nn.init.uniform_(values, -0.5, 0.5)
            for values in (part.running_var, part.weight.data):
                nn.init.uniform_(values, 0.5, 2.0)
    return network.eval()


class Pictures(nn.Module):
    """Convolution and norm twice, one of them among its children in the other order."""

    def __init__(self, crossed=False):
        super().__init__()
        self.normalise = Normalise((127.0,) * 3, (64.0,) * 3)
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8)
        self.bn2, self.conv2 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8)
        if crossed:
            self.bn3 = nn.BatchNorm2d(8)
        self.crossed = crossed

    def forward(self, units):
        maps = self.bn1(self.conv1(like(self.normalise(units)[:, 0], self))).relu()
        maps = self.conv2(self.bn3(maps)) if self.crossed else self.bn2(self.conv2(maps))
        return maps.float().mean(dim=(2, 3))


class Stacks(nn.Module):
    """Over time."""

    def __init__(self):
        super().__init__()
        self.normalise = Normalise((127.0,) * 3, (64.0,) * 3)
        self.stem = nn.Sequential(nn.Conv3d(3, 8, 3, padding=1, bias=False), nn.BatchNorm3d(8), nn.ReLU())

    def forward(self, units):
        frames = like(self.normalise(units).transpose(1, 2), self)
        return self.stem(frames).float().flatten(2).mean(2)


class Function(nn.Module):
    """Any function of the units."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, units):
        return self.function(units.float().flatten(1)[:, :3])


@dataclass
class Double:
    """A backbone of the tests."""

    made: nn.Module
    unit: int = 1
    dim: int = 8
    view: View = VIEW
    tail: str = "last"
    weights: str = "none"

    def network(self):
        return self.made


@pytest.fixture(autouse=True)
def _drawn_once():
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny networks: a second thread is only waited for
    yield
    torch.set_num_threads(threads)


def units(n, unit=1, seed=0, size=SIZE):
    coarse = np.random.default_rng(seed).integers(0, 256, (n, unit, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(size // 4, axis=2).repeat(size // 4, axis=3)


def one_by_one(network, given):
    """The slow way: float32, a unit at a time, unit length by hand."""
    with torch.inference_mode():
        rows = [network(torch.from_numpy(given[i : i + 1])).double().numpy()[0] for i in range(len(given))]
    return np.stack([row / np.sqrt((row * row).sum()) for row in rows])


KINDS = {
    "pictures": lambda: Double(with_statistics(Pictures())),
    "crossed": lambda: Double(with_statistics(Pictures(crossed=True))),
    "stacks": lambda: Double(with_statistics(Stacks()), unit=4),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("half", [False, True])
def test_equal_to_float32_one_by_one(kind, half, monkeypatch):
    if half and not has_bfloat16():
        pytest.skip("this processor has no bfloat16")
    monkeypatch.setattr(module, "has_bfloat16", lambda: half)
    extractor = KINDS[kind]()
    given = units(2 * CPU_FRAMES + 3, extractor.unit)
    expected = one_by_one(extractor.made, given)
    found = Network(extractor, runtime="pytorch")(given)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.02 if half else 1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert next(extractor.made.parameters()).dtype == (torch.bfloat16 if half else torch.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_unit_alone_is_the_unit_among_others(kind):
    extractor = KINDS[kind]()
    given = units(CPU_FRAMES + 1, extractor.unit)
    network = Network(extractor)
    alone = np.concatenate([network(given[i : i + 1]) for i in range(len(given))])
    np.testing.assert_allclose(network(given), alone, atol=0.02)


def test_other_sizes_than_the_view_says_and_rows_that_do_not_lie_in_a_row():
    made = with_statistics(Pictures())
    given = units(3, size=2 * SIZE)[::-1, :, :, : SIZE + 6]
    expected = one_by_one(made, given.copy())
    np.testing.assert_allclose(Network(Double(made))(given), expected, atol=0.02)


def test_no_unit_is_no_row():
    assert Network(Double(with_statistics(Pictures())))(units(0)).shape == (0, 8)


def test_all_zero_stays_zero_and_lengths_are_worked_by_hand():
    given = np.zeros((2, 1, SIZE, SIZE, 3), np.uint8)
    given[1, 0, 0, 0] = (0, 3, 4)
    found = Network(Double(Function(lambda rows: rows), dim=3), runtime="pytorch")(given)
    np.testing.assert_allclose(found, [[0, 0, 0], [0, 0.6, 0.8]], atol=1e-7)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_a_counted_skip(value):
    given = np.full((3, 1, SIZE, SIZE, 3), 9, np.uint8)
    given[1] = 200
    extractor = Double(Function(lambda rows: torch.where(rows > 100, value, rows)), dim=3)
    with pytest.raises(Skip, match="1 of 3 vectors") as caught:
        Network(extractor, runtime="pytorch")(given)
    assert caught.value.reason == "not_finite"


def sizes_seen(room):
    """A network with room for so many units, and the sizes of the batches it took."""
    seen = []

    def function(rows):
        if len(rows) > room:
            raise torch.OutOfMemoryError("no room")
        seen.append(len(rows))
        return rows

    return Double(Function(function), dim=3), seen


def test_a_batch_without_room_is_halved_once_and_for_all():
    extractor, seen = sizes_seen(room=3)
    network = Network(extractor, runtime="pytorch")
    given = units(7)
    expected = one_by_one(Function(lambda rows: rows), given)
    for _ in range(2):
        np.testing.assert_allclose(network(given), expected, atol=1e-6)
    assert seen == [2, 2, 2, 1] * 2  # 8, 4 and then 2


def test_no_room_for_a_single_unit_is_said():
    extractor, _ = sizes_seen(room=0)
    with pytest.raises(InputError, match="cpu has no room"):
        Network(extractor, runtime="pytorch")(units(1))


def test_a_batch_counts_frames_but_holds_a_unit():
    for unit, expected in ((1, [8, 2]), (4, [2] * 5), (32, [1] * 10)):
        extractor, seen = sizes_seen(room=99)
        extractor.unit = unit
        Network(extractor, runtime="pytorch")(units(10, unit))
        assert seen == expected


def test_norms_are_folded_where_they_follow():
    soft = torch.from_numpy(units(2))
    network = with_statistics(Pictures())
    before = network(soft)
    assert fold(network, soft) == 1  # the second stands before its convolution
    assert isinstance(network.bn1, nn.Identity)
    assert network.conv1.bias is not None
    torch.testing.assert_close(network(soft), before, rtol=1e-4, atol=1e-5)
    assert fold(network, soft) == 0


def test_norms_that_do_not_run_as_they_are_registered_stay():
    soft = torch.from_numpy(units(2))
    network = with_statistics(Pictures(crossed=True))  # bn3 is registered after conv2, and runs before it
    before, parts = network(soft), dict(network.named_modules())
    assert fold(network, soft) == 0
    assert dict(network.named_modules()) == parts
    assert torch.equal(network(soft), before)


def test_efficientnet_lite_loses_nothing_that_tells_pictures_apart():
    extractor = find("efficientnet-lite0")
    given = units(6, size=extractor.view.size)
    found, expected = Network(extractor)(given), one_by_one(extractor.network(), given)
    assert ((found * expected).sum(axis=1) > 0.97).all()
    assert ((found @ expected.T).argmax(axis=1) == np.arange(6)).all()


def test_threads_are_those_of_the_worker():
    Network(Double(with_statistics(Pictures())), threads=2)
    assert torch.get_num_threads() == 2


def test_devices_by_name(monkeypatch):
    assert best_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert best_device("auto") == "cuda"
    assert best_device("cuda:1") == "cuda:1"
    assert best_device("cpu") == "cpu"
    with pytest.raises(InputError, match=r"'cuda:2'.*cuda:1"):
        best_device("cuda:2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert best_device("auto") == "cpu"


@pytest.mark.parametrize(
    "asked", ["", "gpu", "cuda:", "cuda:-1", "cuda:99999", "CPU", "meta", "cpu:7", "cuda:0:1"]
)
def test_a_device_that_is_not_there(asked):
    with pytest.raises(InputError, match="auto or one of cpu"):
        best_device(asked)
    with pytest.raises(InputError, match="auto or one of cpu"):
        Network(Double(Function(lambda rows: rows)), asked)


def test_openvino_has_to_be_there_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(module, "_has_openvino", lambda: False)
    extractor = Double(with_statistics(Pictures()))
    with pytest.raises(InputError, match=r"pip install 'tellvision\[openvino\]'"):
        Network(extractor, runtime="openvino")
    assert Network(extractor).runtime == "pytorch"


def broken(network, example):
    raise ValueError("its vectors are others\nand more")


def test_what_openvino_cannot_run_pytorch_does(monkeypatch):
    monkeypatch.setattr(module, "_has_openvino", lambda: True)
    monkeypatch.setattr(module, "_compiled", broken)
    extractor = Double(with_statistics(Pictures()))
    expected = one_by_one(extractor.made, units(2))
    with pytest.raises(InputError, match=r"PyTorch can: its vectors are others$"):
        Network(extractor, runtime="openvino")
    network = Network(extractor)
    assert network.runtime == "pytorch"
    np.testing.assert_allclose(network(units(2)), expected, atol=0.02)


@needs_openvino
@pytest.mark.parametrize("kind", KINDS)
def test_openvino_equals_float32_one_by_one(kind):
    extractor = KINDS[kind]()
    given = units(CPU_FRAMES + 3, extractor.unit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its own
        network = Network(extractor)
    assert network.runtime == "openvino"
    np.testing.assert_allclose(network(given), one_by_one(extractor.made, given), atol=0.02)


@needs_openvino
def test_openvino_that_fixes_the_size_of_a_batch_is_not_used():
    fixed = Double(Function(lambda rows: rows + 1000.0 ** len(rows)), dim=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = Network(fixed)
    assert network.runtime == "pytorch"


@needs_cuda
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_equals_float32_one_by_one(kind):
    extractor = KINDS[kind]()
    given = units(300, extractor.unit)  # more than a batch
    expected = one_by_one(extractor.made, given)
    found = Network(extractor, "cuda")(given)
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert next(extractor.made.parameters()).device.type == "cuda"


@needs_cuda
def test_a_gpu_without_room_is_said():
    def function(rows):
        return rows + torch.empty(1 << 50, dtype=torch.uint8, device=rows.device).sum()

    with pytest.raises(InputError, match="no room"):
        Network(Double(Function(function), dim=3), "cuda")(units(2))
