"""timm's ViT, small and random, trained: `timm_vit.py [unfused]`."""

import sys

import torch
from timm.layers import set_fused_attn
from timm.models.vision_transformer import VisionTransformer

torch.manual_seed(0)
set_fused_attn("unfused" not in sys.argv)
model = VisionTransformer(
    img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=4, num_classes=10
)
optimizer = torch.optim.AdamW(model.parameters())
for _ in range(3):
    images, labels = torch.randn(2, 3, 32, 32), torch.randint(0, 10, (2,))
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print(loss.item())
