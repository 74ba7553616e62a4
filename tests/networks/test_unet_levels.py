"""What a UNet may have on each level of its own."""

from tinydiff.networks import UNet, UNetConfig

OPTIONS = {
    "image_size": 8,
    "in_channels": 2,
    "channels": 8,
    "channel_mult": (1, 2, 3),
    "blocks_per_level": 2,
    "attention_levels": (0, 1),
}


def test_every_level_has_heads_of_its_own():
    model = UNet(UNetConfig(**OPTIONS, heads=[1, 4, 6]))
    blocks = {
        f"{side} {2 - i if side == 'up' else i}": level.blocks
        for side in ("down", "up")
        for i, level in enumerate(getattr(model, side))
    }
    found = {
        name: {block.attention.heads if block.attention else 0 for block in of_level}
        for name, of_level in blocks.items()
    }
    assert found == {"down 0": {1}, "down 1": {4}, "down 2": {0}, "up 2": {0}, "up 1": {4}, "up 0": {1}}
    assert model.mid_1.attention.heads == 6
    assert model.config == UNetConfig(**OPTIONS, heads=(1, 4, 6))
