"""The layer of `mha-layer`, keys and values from elsewhere."""

from attnprobe.device.modules.mha_layer.layer import Mha

LAYER = Mha(cross=True)
