import pytest
import torch

from sdft.miniature.muon import Muon, orthogonalized

SHAPES = [(6, 6), (12, 6), (6, 12), (6, 6)]


def weights() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def test_it_takes_torchs_steps_but_for_the_rounding_of_bfloat16():
    ours, torchs = weights(), weights()
    options = {"lr": 0.1, "weight_decay": 0.05}
    both = [Muon(ours, **options), torch.optim.Muon(torchs, **options)]
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        for one, other in zip(ours, torchs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        for optimizer in both:
            optimizer.step()
    for start, one, other in zip(weights(), ours, torchs, strict=True):
        assert (one - other).norm() < 0.05 * (one - start).norm()


def test_a_matrix_comes_out_the_same_alone_and_among_others():
    matrices = torch.randn(5, 4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    options = ((3.4445, -4.775, 2.0315), 5, 1e-7)
    together = orthogonalized(matrices, *options)
    alone = torch.cat([orthogonalized(matrix[None], *options) for matrix in matrices])
    assert torch.allclose(together, alone, rtol=1e-10)
    assert torch.linalg.svdvals(together).sub(1).abs().max() < 0.5


def test_a_parameter_without_a_gradient_stays():
    parameters = weights()
    parameters[0].grad = torch.ones_like(parameters[0])
    Muon(parameters, lr=0.1).step()
    for before, after in zip(weights()[1:], parameters[1:], strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_continues_from_a_saved_state(shape):
    straight, parted = torch.nn.Parameter(torch.zeros(shape)), torch.nn.Parameter(torch.zeros(shape))
    gradients = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    one, two = Muon([straight], lr=0.1), Muon([parted], lr=0.1)
    for number, gradient in enumerate(gradients):
        straight.grad = parted.grad = gradient
        one.step()
        two.step()
        if number == 0:
            saved, two = two.state_dict(), Muon([parted], lr=0.1)
            two.load_state_dict(saved)
    assert torch.equal(straight, parted)
