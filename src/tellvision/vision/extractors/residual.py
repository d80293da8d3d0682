"""Residual networks of bottlenecks, for pictures and for stacks of pictures: ResNet and ResNeXt.

The names of the weights are those of torchvision's ResNet, which the files of both kinds have. The stride
lies in the middle convolution.
"""

import re
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

Blocks = tuple[int, int, int, int]
"""Bottlenecks of each of the four layers."""


class Residual(nn.Module):
    """Pictures (n, 3, h, w), or stacks of them (n, 3, frames, h, w) -> the mean of the last map.

    Args:
        blocks: how deep it is.
        stacks: convolutions also go over time; the first one keeps the number of frames.
        width: channels inside the bottlenecks of the first layer; each layer has twice those of the one before.
        expansion: channels that leave a bottleneck, as a multiple of those inside.
        groups: of the middle convolution.
    """

    def __init__(
        self,
        blocks: Blocks,
        *,
        stacks: bool = False,
        width: int = 64,
        expansion: int = 4,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = _convolution(3, 64, kernel=7, stride=(1, 2, 2) if stacks else 2, stacks=stacks)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = (nn.MaxPool3d if stacks else nn.MaxPool2d)(kernel_size=3, stride=2, padding=1)
        before, layers = 64, []
        for place, count in enumerate(blocks):
            inside, stride = width << place, 2 if place else 1
            after = expansion * inside
            made = [Bottleneck(before, inside, after, stride=stride, groups=groups, stacks=stacks)]
            made += (Bottleneck(after, inside, after, groups=groups, stacks=stacks) for _ in range(count - 1))
            layers.append(nn.Sequential(*made))
            before = after
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 3, h, w) or (n, 3, frames, h, w) -> (n, channels) float32."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(pictures))))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        return maps.float().flatten(2).mean(dim=2)


class Bottleneck(nn.Module):
    """Three convolutions and the way around them."""

    def __init__(
        self, before: int, inside: int, after: int, *, groups: int, stacks: bool, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = _convolution(before, inside, kernel=1, stacks=stacks)
        self.conv2, self.bn2 = _convolution(inside, inside, kernel=3, stride=stride, groups=groups, stacks=stacks)
        self.conv3, self.bn3 = _convolution(inside, after, kernel=1, stacks=stacks)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(*_convolution(before, after, kernel=1, stride=stride, stacks=stacks))

    def forward(self, maps: Tensor) -> Tensor:
        """Channels from `before` to `after`, both sides divided by `stride`."""
        change = self.relu(self.bn1(self.conv1(maps)))
        change = self.relu(self.bn2(self.conv2(change)))
        change = self.bn3(self.conv3(change))
        around = maps if self.downsample is None else self.downsample(maps)
        return self.relu(change + around)


def blocks_of(names: Iterable[str]) -> Blocks:
    """How many bottlenecks the four layers have, by the names of the weights; nothing of a layer counts as 1."""
    found = [1, 1, 1, 1]
    for name in names:
        if place := re.match(r"layer([1-4])\.(\d{1,2})\.", name, re.ASCII):
            layer = int(place[1]) - 1
            found[layer] = max(found[layer], int(place[2]) + 1)
    return found[0], found[1], found[2], found[3]


def _convolution(
    before: int, after: int, *, kernel: int, stacks: bool, stride: int | tuple[int, int, int] = 1, groups: int = 1
) -> tuple[nn.Module, nn.Module]:
    """Without a bias, and the norm behind it; an odd kernel keeps the size where the stride is 1."""
    options: dict[str, Any] = {"stride": stride, "padding": kernel // 2, "groups": groups, "bias": False}
    if stacks:
        return nn.Conv3d(before, after, kernel, **options), nn.BatchNorm3d(after)
    return nn.Conv2d(before, after, kernel, **options), nn.BatchNorm2d(after)
