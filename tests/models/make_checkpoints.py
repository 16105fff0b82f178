"""Makes randomly initialised checkpoints of every family, with inputs and the embeddings that the reference gives them.

    python make_checkpoints.py OUT          small ones: what embeddings/tests/golden/ holds
    python make_checkpoints.py OUT --big    with the sizes of CLIP B/32 and SigLIP B/16 (600 MB and 800 MB)
    python make_checkpoints.py OUT --big clip_b32

Each folder holds config and weights as the library writes them, and `golden.safetensors`:
    pixels      [n, 3, side, side], or for NaFlex [sum of rows * columns, patch * patch * 3] with `shapes` [n, 2]
    ids         [m, context]
    image, text embeddings, not normalised

Fresh weights have so little variance that all inputs give the same embedding; they are scaled up here, so that a wrong
tensor shows. Needs torch, transformers, open_clip_torch, timm and safetensors.
"""

import argparse
import json
import os
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

torch.use_deterministic_algorithms(True)


def enliven(model, seed):
    """Weights with enough variance that outputs depend on inputs, biases and norms that are not zero and one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in sorted(model.named_parameters()):
            noise = torch.randn(tensor.shape, generator=generator)
            if name in ("logit_scale", "logit_bias"):
                tensor.copy_(torch.full(tensor.shape, 4.6 if name == "logit_scale" else -12.5))
            elif "norm" in name or ".ln_" in name or "layrnorm" in name:
                tensor.copy_(noise * 0.1 + (1.0 if name.endswith("weight") else 0.0))
            elif tensor.ndim < 2 and "embedding" not in name:
                tensor.copy_(noise * 0.1)
            elif "probe" in name or "latent" in name:
                # Sharp attention: a mean over many patches would hardly differ between pictures.
                tensor.copy_(noise * 4.0)
            elif "embedding" in name and "patch" not in name or "pos_embed" in name:
                tensor.copy_(noise * 0.5)
            elif name in ("visual.proj", "text_projection", "text.text_projection"):
                tensor.copy_(noise * tensor.shape[0] ** -0.5)
            else:
                # Sharper attention again, or deep towers make all tokens alike.
                sharp = any(part in name for part in ("q_proj.weight", "k_proj.weight", "in_proj_weight", "qkv.weight"))
                tensor.copy_(noise * (1.8 if sharp else 1.2) * tensor[0].numel() ** -0.5)
    return model.eval()


def pictures(count, side, seed):
    """Smooth and rough pictures: noise at several scales."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for index in range(count):
        coarse = torch.randn(1, 3, 2 + index, 2 + index, generator=generator)
        fine = torch.randn(1, 3, side, side, generator=generator)
        rows.append(torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear") + 0.3 * fine)
    return torch.cat(rows).round(decimals=2)


def clip_ids(count, context, start, end, pad, seed):
    """Captions of different length, as the CLIP tokenizer pads them."""
    rng = np.random.default_rng(seed)
    rows = np.full((count, context), pad)
    for index, row in enumerate(rows):
        length = context - 2 if index == 0 else int(rng.integers(1, context - 2))
        row[0] = start
        row[1 : length + 1] = rng.integers(3, start, length)
        row[length + 1] = end
    return torch.from_numpy(rows)


def siglip_ids(count, context, vocabulary, pad, seed):
    rng = np.random.default_rng(seed)
    rows = np.full((count, context), pad)
    for index, row in enumerate(rows):
        length = context - 1 if index == 0 else int(rng.integers(1, context - 1))
        row[:length] = rng.integers(3, vocabulary, length)
        row[length] = 1
    return torch.from_numpy(rows)


def write(folder, golden):
    arrays = {key: value.contiguous() for key, value in golden.items()}
    arrays = {key: value.to(torch.int32) if value.dtype == torch.int64 else value.float() for key, value in arrays.items()}
    save_file(arrays, os.path.join(folder, "golden.safetensors"))
    for key in ("image", "text"):
        rows = torch.nn.functional.normalize(arrays[key], dim=-1)
        cosines = rows @ rows.T - 2 * torch.eye(len(rows))
        print(f"{folder}: {key} {tuple(rows.shape)}, largest cosine between inputs {cosines.max():.3f}")


def embeddings_of(output):
    """transformers 5 returns an output object, older versions the tensor."""
    return output if torch.is_tensor(output) else output.pooler_output


@torch.no_grad()
def hugging_face(folder, model, golden, pixels, **options):
    os.makedirs(folder, exist_ok=True)
    model.save_pretrained(folder, safe_serialization=True, **options)
    write(folder, golden | {
        "image": embeddings_of(model.get_image_features(**pixels)),
        "text": embeddings_of(model.get_text_features(input_ids=golden["ids"])),
    })


def clip(out, name, act, text, vision, dim, eos=None, sharded=False, counts=(4, 5)):
    from transformers import CLIPConfig, CLIPModel

    vocabulary = text.get("vocab_size", 49408)
    text = dict(text, hidden_act=act, eos_token_id=vocabulary - 1 if eos is None else eos)
    config = CLIPConfig(text_config=text, vision_config=dict(vision, hidden_act=act), projection_dim=dim)
    model = enliven(CLIPModel(config), 1)
    pixels = pictures(counts[0], config.vision_config.image_size, 2)
    context = config.text_config.max_position_embeddings
    ids = clip_ids(counts[1], context, vocabulary - 2, vocabulary - 1, vocabulary - 1, 3)
    options = {"max_shard_size": "12KB"} if sharded else {}
    hugging_face(os.path.join(out, name), model, {"pixels": pixels, "ids": ids}, {"pixel_values": pixels}, **options)


def siglip(out, name, text, vision, counts=(4, 5), half=False):
    from transformers import SiglipConfig, SiglipModel

    config = SiglipConfig(text_config=text, vision_config=vision)
    model = enliven(SiglipModel(config), 4)
    if half:
        # The reference computes in f32 on weights that 16 bits can hold, as the reader of such a file does.
        model = model.to(torch.bfloat16)
        os.makedirs(os.path.join(out, name), exist_ok=True)
    pixels = pictures(counts[0], config.vision_config.image_size, 5)
    context = config.text_config.max_position_embeddings
    ids = siglip_ids(counts[1], context, config.text_config.vocab_size, 1, 6)
    folder = os.path.join(out, name)
    golden = {"pixels": pixels, "ids": ids}
    if half:
        model.save_pretrained(folder)
        saved, model.save_pretrained = model.save_pretrained, lambda *_, **__: None
        model = model.float()
    hugging_face(folder, model, golden, {"pixel_values": pixels})


def naflex(out, name, text, vision, shapes):
    from transformers import Siglip2Config, Siglip2Model

    model = enliven(Siglip2Model(Siglip2Config(text_config=text, vision_config=vision)), 7)
    config = model.config.vision_config
    inputs = 3 * config.patch_size**2
    generator = torch.Generator().manual_seed(8)
    longest = max(rows * columns for rows, columns in shapes)
    padded = torch.zeros(len(shapes), longest, inputs)
    mask = torch.zeros(len(shapes), longest, dtype=torch.long)
    pieces = []
    for index, (rows, columns) in enumerate(shapes):
        piece = (torch.randn(1, inputs, generator=generator) + torch.randn(rows * columns, inputs, generator=generator))
        piece = piece.round(decimals=2)
        padded[index, : len(piece)], mask[index, : len(piece)] = piece, 1
        pieces.append(piece)
    text_config = model.config.text_config
    ids = siglip_ids(4, text_config.max_position_embeddings, text_config.vocab_size, 0, 9)
    golden = {"pixels": torch.cat(pieces), "shapes": torch.tensor(shapes), "ids": ids}
    hugging_face(os.path.join(out, name), model, golden,
                 {"pixel_values": padded, "pixel_attention_mask": mask, "spatial_shapes": torch.tensor(shapes)})


@torch.no_grad()
def open_clip_model(out, name, model, config, golden):
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(state, os.path.join(folder, "open_clip_model.safetensors"))
    pathlib.Path(folder, "open_clip_config.json").write_text(json.dumps({"model_cfg": config}, indent=1))
    write(folder, golden | {"image": model.encode_image(golden["pixels"]), "text": model.encode_text(golden["ids"])})


def open_clip_own(out, name, config, custom=False, counts=(4, 5)):
    import open_clip

    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    arguments = {key: value for key, value in config.items() if key != "custom_text"}
    model = enliven(kind(**json.loads(json.dumps(arguments))), 10)
    text = config["text_cfg"]
    pixels = pictures(counts[0], config["vision_cfg"]["image_size"], 11)
    vocabulary = text["vocab_size"]
    ids = clip_ids(counts[1], text["context_length"], vocabulary - 2, vocabulary - 1, 0, 12)
    open_clip_model(out, name, model, config, {"pixels": pixels, "ids": ids})


def open_clip_siglip(out, name, config, timm_arguments=None, resolved=None, counts=(4, 5)):
    """timm's towers have fixed sizes; a small one needs arguments that no config can hold, and comes `resolved`."""
    import open_clip
    import timm

    made = timm.create_model
    timm.create_model = lambda *a, **k: made(*a, **(k | (timm_arguments or {})))
    arguments = {key: value for key, value in config.items() if key != "custom_text"}
    model = enliven(open_clip.CustomTextCLIP(**json.loads(json.dumps(arguments))), 13)
    timm.create_model = made
    text = config["text_cfg"]
    side = (timm_arguments or {}).get("img_size", config["vision_cfg"]["image_size"])
    pixels = pictures(counts[0], side, 14)
    ids = siglip_ids(counts[1], text["context_length"], text["vocab_size"], 1, 15)
    open_clip_model(out, name, model, config, {"pixels": pixels, "ids": ids})
    if resolved:
        pathlib.Path(out, name, "resolved.json").write_text(json.dumps(resolved, indent=1))
        os.remove(os.path.join(out, name, "open_clip_config.json"))


def small(out):
    text = dict(vocab_size=60, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=2,
                max_position_embeddings=10)
    vision = dict(hidden_size=32, intermediate_size=36, num_hidden_layers=2, num_attention_heads=2, image_size=14,
                  patch_size=4)
    clip(out, "clip_quickgelu", "quick_gelu", text, vision, 20, eos=2)
    clip(out, "clip_gelu_sharded", "gelu", text, vision, 20, sharded=True)
    # Widths of the towers are equal in SigLIP, where nothing projects the image.
    even = dict(vision, hidden_size=16)
    siglip(out, "siglip", text, even)
    siglip(out, "siglip_bf16", text, even, half=True)
    wide = dict(even, hidden_size=24, num_attention_heads=3, num_patches=16, patch_size=3)
    wide.pop("image_size")
    naflex(out, "siglip2_naflex", dict(text, projection_size=24), wide, [(4, 4), (2, 7), (5, 3), (1, 1), (6, 2)])
    config = {
        "embed_dim": 20,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 14, "layers": 2, "width": 24, "head_width": 8, "patch_size": 4, "mlp_ratio": 1.5},
        "text_cfg": {"context_length": 10, "vocab_size": 60, "width": 16, "heads": 2, "layers": 2, "mlp_ratio": 2.0},
    }
    open_clip_own(out, "open_clip_quickgelu", config)
    open_clip_own(out, "open_clip_custom_text", dict(config, quick_gelu=False, custom_text=True), custom=True)
    config = {
        "embed_dim": 16,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {"image_size": 14, "timm_model_name": "vit_base_patch16_siglip_224", "timm_model_pretrained": False,
                       "timm_pool": "map", "timm_proj": "none"},
        "text_cfg": {"context_length": 10, "vocab_size": 60, "width": 16, "heads": 2, "layers": 2, "mlp_ratio": 2.0,
                     "no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6},
                     "act_kwargs": {"approximate": "tanh"}},
    }
    tower = dict(width=16, layers=2, heads=2, mlp=32, eps=1e-6)
    resolved = {
        "architecture": "siglip", "layout": "open_clip_timm", "dim": 16, "logit_bias": True,
        "image": {"transformer": dict(tower, activation="gelu"), "patch": 4, "grid": {"fixed": {"image": 14}},
                  "pooling": "map"},
        "text": {"transformer": dict(tower, activation="gelu_tanh"), "context": 10, "vocabulary": 60, "causal": False,
                 "pooling": "last", "projection": "linear", "pad": None, "end": None},
    }
    arguments = dict(img_size=14, patch_size=4, embed_dim=16, depth=2, num_heads=2, mlp_ratio=2.0)
    open_clip_siglip(out, "open_clip_siglip", config, arguments, resolved)


BIG = {
    "clip_b32": lambda out, name: clip(out, name, "quick_gelu", {}, {}, 512, eos=2, counts=(16, 16)),
    "siglip_b16": lambda out, name: siglip(out, name, {}, {}, counts=(8, 8)),
    "siglip2_naflex_b16": lambda out, name: naflex(
        out, name, {"vocab_size": 32000}, {}, [(16, 16), (12, 21), (9, 28), (20, 12), (3, 80), (5, 5)]),
    "open_clip_b32": lambda out, name: open_clip_own(out, name, {
        "embed_dim": 512,
        "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
    }, counts=(16, 16)),
    "open_clip_siglip_b16": lambda out, name: open_clip_siglip(out, name, {
        "embed_dim": 768, "init_logit_bias": -10, "custom_text": True,
        "vision_cfg": {"image_size": 224, "timm_model_name": "vit_base_patch16_siglip_224",
                       "timm_model_pretrained": False, "timm_pool": "map", "timm_proj": "none"},
        "text_cfg": {"context_length": 64, "vocab_size": 32000, "width": 768, "heads": 12, "layers": 12,
                     "no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}},
    }, counts=(8, 8)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--big", nargs="*", choices=[[], *BIG], help="the real sizes: all, or those named")
    options = parser.parse_args()
    if options.big is None:
        small(options.out)
    for name in (options.big or BIG) if options.big is not None else []:
        BIG[name](options.out, name)


if __name__ == "__main__":
    main()
