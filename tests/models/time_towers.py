"""Times PyTorch on a checkpoint in Hugging Face's layout, one step per line that it reads; the bench `towers` drives it.

    python time_towers.py FOLDER BATCH THREADS

Reads `images`, `texts` or `sgemm` and answers with the wall clock and the CPU seconds of one batch, or of one product of
1024 by 3072 by 768 times 16. Captions are as long as the context, as transformers pads them.
"""

import sys
import time

import torch
import transformers

folder, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
transformers.logging.set_verbosity_error()
model = transformers.AutoModel.from_pretrained(folder).eval()
text = model.config.text_config
vision = model.config.vision_config
generator = torch.Generator().manual_seed(0)
ids = torch.randint(3, text.vocab_size - 1, (batch, text.max_position_embeddings), generator=generator)
ids[:, -1] = text.vocab_size - 1
if model.config.model_type == "siglip2":
    patches = vision.num_patches
    pixels = {
        "pixel_values": torch.randn(batch, patches, 3 * vision.patch_size**2, generator=generator),
        "pixel_attention_mask": torch.ones(batch, patches, dtype=torch.long),
        "spatial_shapes": torch.tensor([[int(patches**0.5)] * 2] * batch),
    }
else:
    pixels = {"pixel_values": torch.randn(batch, 3, vision.image_size, vision.image_size, generator=generator)}
a, b = torch.randn(1024, 768), torch.randn(3072, 768)


def step(what):
    if what == "images":
        model.get_image_features(**pixels)
    elif what == "texts":
        model.get_text_features(input_ids=ids)
    else:
        for _ in range(16):
            torch.nn.functional.linear(a, b)


print(f"torch {torch.__version__}", flush=True)
with torch.inference_mode():
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        step(line.strip())
        print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)
