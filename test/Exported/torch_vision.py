# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Networks on images and signals, for both exporters of torch."""

from functools import partial

import torch
import torchvision.models as zoo
from family import Network, family, floats
from torch import nn
from torch.nn import functional as F

both = partial(family, "torchscript", "dynamo")
SIZES = {"height": (64, 96, 32), "width": (96, 32, 128)}
IMAGE = floats("x", "batch", 3, "height", "width")
SQUARE = floats("x", "batch", 3, 64, 64)


@both(**SIZES)
def resnet():
    return Network(zoo.ResNet(zoo.resnet.BasicBlock, [1, 1, 1, 1], num_classes=10), [IMAGE])


@both()
def resnext_bottleneck():
    model = zoo.ResNet(zoo.resnet.Bottleneck, [1, 2, 1, 1], num_classes=10, groups=4, width_per_group=16)
    return Network(model, [SQUARE])


@both(**SIZES)
def mobilenet_v2():
    return Network(zoo.mobilenet_v2(num_classes=10, width_mult=0.5), [IMAGE])


@both(**SIZES)
def mobilenet_v3():
    return Network(zoo.mobilenet_v3_small(num_classes=10), [IMAGE])


@both(**SIZES)
def efficientnet():
    return Network(zoo.efficientnet_b0(num_classes=10), [IMAGE])


@both()
def regnet():
    return Network(zoo.regnet_y_400mf(num_classes=10), [SQUARE])


@both()
def squeezenet():
    return Network(zoo.squeezenet1_1(num_classes=10), [floats("x", "batch", 3, 67, 65)])


@both()
def shufflenet():
    return Network(zoo.shufflenet_v2_x0_5(num_classes=10), [SQUARE])


@both()
def densenet():
    return Network(zoo.DenseNet(8, (2, 3, 2), 16, num_classes=10), [SQUARE])


@both()
def convnext():
    block = zoo.convnext.CNBlockConfig
    stages = [block(24, 48, 1), block(48, 96, 1), block(96, None, 2)]
    return Network(zoo.ConvNeXt(stages, num_classes=10, layer_scale=0.5), [SQUARE])


@both()
def vit():
    return Network(zoo.VisionTransformer(64, 16, 2, 4, 48, 96, num_classes=10), [SQUARE])


@both()
def swin():
    model = zoo.SwinTransformer([4, 4], 24, [2, 2], [2, 4], [4, 4], num_classes=10)
    return Network(model, [SQUARE])


@both()
def swin_dynamic_windows():
    """An image that is no multiple of the window, which pads and masks."""
    model = zoo.SwinTransformer([2, 2], 16, [2, 2], [2, 4], [5, 5], num_classes=10)
    return Network(model, [SQUARE])


@both(**SIZES)
def lraspp():
    """Segmentation: two resolutions, resized to that of the input."""

    class Mask(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = zoo.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=5)

        def forward(self, x):
            return self.body(x)["out"]

    return Network(Mask(), [IMAGE])


class Step(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1), nn.LeakyReLU(0.1),
        )  # fmt: skip


class UNet(nn.Module):
    def __init__(self, resize):
        super().__init__()
        self.down = nn.ModuleList([Step(3, 8), Step(8, 16), Step(16, 32)])
        self.up = nn.ModuleList([Step(48, 16), Step(24, 8)])
        if resize:
            self.grow = nn.ModuleList([
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                nn.Upsample(scale_factor=2, mode="nearest"),
            ])  # fmt: skip
        else:
            self.grow = nn.ModuleList([nn.ConvTranspose2d(n, n, 2, 2) for n in (32, 16)])
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        a = self.down[0](x)
        b = self.down[1](F.max_pool2d(a, 2))
        c = self.down[2](F.avg_pool2d(b, 2))
        b = self.up[0](torch.cat([self.grow[0](c), b], 1))
        a = self.up[1](torch.cat([self.grow[1](b), a], 1))
        return self.last(a)


@both(**SIZES)
def unet_transposed():
    return Network(UNet(resize=False), [IMAGE])


@both(**SIZES)
def unet_resized():
    return Network(UNet(resize=True), [IMAGE])


class Residual(nn.Module):
    """A residual block of a diffusion network."""

    def __init__(self, inputs, outputs, time):
        super().__init__()
        self.norm = nn.GroupNorm(4, inputs)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(time, outputs)
        self.second_norm = nn.GroupNorm(4, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x, time):
        h = self.first(F.silu(self.norm(x))) + self.time(F.silu(time))[:, :, None, None]
        return self.skip(x) + self.second(F.silu(self.second_norm(h)))


class Attend(nn.Module):
    """Attention of all pixels to all, and to a text."""

    def __init__(self, size, context):
        super().__init__()
        self.norm = nn.GroupNorm(4, size)
        self.own = nn.MultiheadAttention(size, 4, batch_first=True)
        self.cross = nn.MultiheadAttention(size, 4, kdim=context, vdim=context, batch_first=True)
        self.gate = nn.Linear(size, 4 * size)
        self.out = nn.Linear(2 * size, size)

    def forward(self, x, context):
        b, c, h, w = x.shape
        y = self.norm(x).flatten(2).transpose(1, 2)
        y = y + self.own(y, y, y, need_weights=False)[0]
        y = y + self.cross(y, context, context, need_weights=False)[0]
        a, g = self.gate(y).chunk(2, -1)
        y = y + self.out(a * F.gelu(g))
        return x + y.transpose(1, 2).reshape(b, c, h, w)


class Diffusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(4, 16, 3, padding=1)
        self.time = nn.Sequential(nn.Linear(32, 64), nn.SiLU(), nn.Linear(64, 64))
        self.down = Residual(16, 16, 64)
        self.shrink = nn.Conv2d(16, 16, 3, 2, 1)
        self.middle, self.attend = Residual(16, 32, 64), Attend(32, 24)
        self.grow = nn.Conv2d(32, 32, 3, padding=1)
        self.up = Residual(48, 16, 64)
        self.last = nn.Sequential(nn.GroupNorm(4, 16), nn.SiLU(), nn.Conv2d(16, 4, 3, padding=1))

    def forward(self, x, time, context):
        rates = torch.exp(torch.arange(16, device=x.device) * -0.6)
        angles = time[:, None].float() * rates[None]
        time = self.time(torch.cat([angles.sin(), angles.cos()], -1))
        x = self.first(x)
        a = self.down(x, time)
        b = self.attend(self.middle(self.shrink(a), time), context)
        b = self.grow(F.interpolate(b, scale_factor=2.0, mode="nearest"))
        return self.last(self.up(torch.cat([a, b], 1), time))


# The TorchScript exporter writes the sizes of its example into torch's attention.
@family("dynamo", height=(16, 32, 8), width=(8, 16, 24), words=(7, 3, 12))
def diffusion_unet():
    inputs = [floats("x", "batch", 4, "height", "width"), floats("time", "batch"),
              floats("context", "batch", "words", 24)]  # fmt: skip
    return Network(Diffusion(), inputs)


class Mixer(nn.Module):
    def __init__(self, tokens=16, size=32, layers=2):
        super().__init__()
        self.patch = nn.Conv2d(3, size, 16, 16)
        self.layers = nn.ModuleList([
            nn.ModuleList([
                nn.LayerNorm(size),
                nn.Sequential(nn.Linear(tokens, 24), nn.GELU(), nn.Linear(24, tokens)),
                nn.LayerNorm(size),
                nn.Sequential(nn.Linear(size, 64), nn.GELU("tanh"), nn.Linear(64, size)),
            ])
            for _ in range(layers)
        ])  # fmt: skip
        self.norm, self.head = nn.LayerNorm(size), nn.Linear(size, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        for first, tokens, second, channels in self.layers:
            x = x + tokens(first(x).transpose(1, 2)).transpose(1, 2)
            x = x + channels(second(x))
        return self.head(self.norm(x).mean(1))


@both()
def mlp_mixer():
    return Network(Mixer(), [SQUARE])


class Detector(nn.Module):
    """Slicing stem, two scales that meet, and a decoded head."""

    def __init__(self, classes=3):
        super().__init__()
        self.stem = nn.Conv2d(12, 16, 3, padding=1)
        self.down = nn.ModuleList([nn.Conv2d(16, 32, 3, 2, 1), nn.Conv2d(32, 32, 3, 2, 1)])
        self.reduce = nn.Conv2d(32, 32, 1)
        self.merge = nn.Conv2d(64, 32, 3, padding=1)
        self.heads = nn.ModuleList([nn.Conv2d(32, 3 * (5 + classes), 1) for _ in range(2)])
        self.outputs = 5 + classes
        self.register_buffer("anchors", torch.rand(2, 3, 2) * 50 + 5)

    def forward(self, x):
        x = torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
        x = F.silu(self.stem(x))
        a = F.silu(self.down[0](x))
        b = F.silu(self.down[1](a))
        pools = [b] + [F.max_pool2d(b, k, 1, k // 2) for k in (5, 9)]
        b = F.silu(self.reduce(sum(pools)))
        a = F.silu(self.merge(torch.cat([F.interpolate(b, size=a.shape[2:]), a], 1)))
        return torch.cat([self.decode(i, y, s) for i, (y, s) in enumerate([(a, 4.0), (b, 8.0)])], 1)

    def decode(self, i, x, stride):
        y = self.heads[i](x)
        b, _, h, w = y.shape
        y = y.view(b, 3, self.outputs, h, w).permute(0, 1, 3, 4, 2).sigmoid()
        grid = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy"), -1)
        place = (y[..., :2] * 2 - 0.5 + grid) * stride
        size = (y[..., 2:4] * 2) ** 2 * self.anchors[i].view(1, 3, 1, 1, 2)
        return torch.cat([place, size, y[..., 4:]], -1).view(b, -1, self.outputs)


@both(**SIZES)
def yolo():
    return Network(Detector(), [IMAGE])


class WaveNet(nn.Module):
    def __init__(self, size=16, layers=5):
        super().__init__()
        self.first = nn.Conv1d(1, size, 1)
        self.dilated = nn.ModuleList([nn.Conv1d(size, 2 * size, 2, dilation=2**i) for i in range(layers)])
        self.mix = nn.ModuleList([nn.Conv1d(size, 2 * size, 1) for _ in range(layers)])
        self.last = nn.Conv1d(size, 32, 1)

    def forward(self, x):
        x, skips = self.first(x), 0
        for dilated, mix in zip(self.dilated, self.mix):
            a, b = dilated(F.pad(x, (dilated.dilation[0], 0))).chunk(2, 1)
            y, skip = mix(torch.tanh(a) * torch.sigmoid(b)).chunk(2, 1)
            x, skips = x + y, skips + skip
        return self.last(F.relu(skips)).log_softmax(1)


@both(time=(100, 37, 333))
def wavenet():
    return Network(WaveNet(), [floats("x", "batch", 1, "time")])


class TemporalBlock(nn.Module):
    def __init__(self, inputs, outputs, dilation):
        super().__init__()
        conv = nn.utils.parametrizations.weight_norm
        self.pad = 2 * dilation
        self.first = conv(nn.Conv1d(inputs, outputs, 3, padding=self.pad, dilation=dilation))
        self.second = conv(nn.Conv1d(outputs, outputs, 3, padding=self.pad, dilation=dilation))
        self.skip = nn.Conv1d(inputs, outputs, 1)
        self.slope = nn.PReLU(outputs)

    def forward(self, x):
        y = self.slope(self.first(x)[..., : -self.pad])
        return F.elu(self.skip(x) + F.dropout(self.second(y)[..., : -self.pad], 0.1, self.training))


@both(time=(64, 9, 200))
def temporal_convolution():
    model = nn.Sequential(TemporalBlock(6, 24, 1), TemporalBlock(24, 24, 4))
    return Network(model, [floats("x", "batch", 6, "time")])
