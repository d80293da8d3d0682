"""Pixels as networks want them: the first step of every backbone here."""

import torch


class Normalise(torch.nn.Module):
    """(value - mean) / std per colour, in float32.

    Args:
        mean: of red, green and blue, in the units of the bytes (0 to 255).
        std: likewise.
    """

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        # No buffers: a network brought to half precision would round them.
        self._mean, self._std = mean, std

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        """(n, unit, h, w, 3) uint8 -> (n, unit, 3, h, w) float32, a view of channels-last memory."""
        mean = torch.tensor(self._mean, dtype=torch.float32, device=units.device)
        std = torch.tensor(self._std, dtype=torch.float32, device=units.device)
        return ((units.float() - mean) / std).permute(0, 1, 4, 2, 3)


def like(tensor: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
    """`tensor` in the precision of the network's parameters."""
    return tensor.to(next(network.parameters()).dtype)
